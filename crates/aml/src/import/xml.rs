//! A small streaming reader of record-shaped XML: no DTD, bounded depth and size.
//!
//! Lists are long sequences of records. [`records`] hands over one record at a time
//! as a tree, so importers stay short and memory stays that of one record.

use std::io::BufRead;
use std::path::Path;

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::ImportError;

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 64;
/// Most nodes of one record.
const MAX_NODES: usize = 200_000;

/// An element with its attributes, text and children.
#[derive(Debug, Default, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) children: Vec<Node>,
}

impl Node {
    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|c| c.name == name)
    }

    /// All children of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |c| c.name == name)
    }

    /// The trimmed text of the first child of this name, or empty.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.child(name).map_or("", |c| c.text.trim())
    }

    /// An attribute, or empty.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }
}

/// Calls `sink` for every element whose name is in `wanted`, and for the root (without children) first.
pub(crate) fn records(
    path: &Path,
    format: &'static str,
    input: impl BufRead,
    wanted: &[&str],
    sink: &mut dyn FnMut(Node),
) -> Result<(), ImportError> {
    let bad = |reason: String| ImportError::Malformed { path: path.to_owned(), format, reason };
    let mut reader = Reader::from_reader(input);
    reader.config_mut().check_end_names = true;
    let mut buffer = Vec::new();
    let mut depth = 0usize;
    let mut stack: Vec<Node> = Vec::new();
    let mut nodes = 0usize;
    let mut seen_root = false;
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|e| bad(e.to_string()))?;
        match event {
            Event::DocType(_) => return Err(bad("document type declarations are not accepted".to_owned())),
            Event::Start(ref start) | Event::Empty(ref start) => {
                let empty = matches!(event, Event::Empty(_));
                let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                let recording = !stack.is_empty() || wanted.contains(&name.as_str());
                let mut node = Node { name, ..Node::default() };
                if recording || !seen_root {
                    for attribute in start.attributes().flatten().take(64) {
                        let key = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
                        let value = attribute
                            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                            .map_err(|e| bad(e.to_string()))?
                            .into_owned();
                        node.attributes.push((key, value));
                    }
                }
                if !seen_root {
                    seen_root = true;
                    sink(node.clone());
                }
                if !empty {
                    depth += 1;
                }
                if depth > MAX_DEPTH {
                    return Err(bad("elements are nested too deeply".to_owned()));
                }
                if recording {
                    nodes += 1;
                    if nodes > MAX_NODES {
                        return Err(bad("a record has too many elements".to_owned()));
                    }
                    stack.push(node);
                    if empty {
                        close(&mut stack, &mut nodes, sink);
                    }
                }
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                close(&mut stack, &mut nodes, sink);
            }
            Event::Text(text) => {
                if let Some(node) = stack.last_mut() {
                    let text = text.decode().map_err(|e| bad(e.to_string()))?;
                    push_bounded(&mut node.text, &text);
                }
            }
            Event::CData(text) => {
                if let Some(node) = stack.last_mut() {
                    push_bounded(&mut node.text, &String::from_utf8_lossy(&text));
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(node) = stack.last_mut() {
                    let name = reference.decode().map_err(|e| bad(e.to_string()))?;
                    let resolved = reference.resolve_char_ref().map_err(|e| bad(e.to_string()))?;
                    match (resolved, &*name) {
                        (Some(c), _) => node.text.push(c),
                        (_, "amp") => node.text.push('&'),
                        (_, "lt") => node.text.push('<'),
                        (_, "gt") => node.text.push('>'),
                        (_, "quot") => node.text.push('"'),
                        (_, "apos") => node.text.push('\''),
                        _ => return Err(bad(format!("unknown entity {name:.40}"))),
                    }
                }
            }
            Event::Eof => {
                return if depth == 0 && seen_root {
                    Ok(())
                } else {
                    Err(bad("the document ends early".to_owned()))
                };
            }
            _ => {}
        }
    }
}

fn close(stack: &mut Vec<Node>, nodes: &mut usize, sink: &mut dyn FnMut(Node)) {
    if let Some(done) = stack.pop() {
        match stack.last_mut() {
            Some(parent) => parent.children.push(done),
            None => {
                *nodes = 0;
                sink(done);
            }
        }
    }
}

fn push_bounded(text: &mut String, more: &str) {
    if text.len() + more.len() <= 1 << 20 {
        text.push_str(more);
    }
}
