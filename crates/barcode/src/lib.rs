//! Reads the barcodes of identity documents and the payloads within them.
