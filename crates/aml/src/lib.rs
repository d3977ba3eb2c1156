//! Screens people and organisations against watch-lists and explains every hit.
