//! Reads a PyTorch state dict without executing anything.
//!
//! `torch.save` writes pickle: a program for a small stack machine. This reader
//! is that machine cut down to what a state dict needs; a `GLOBAL` is only a
//! name, and `REDUCE` accepts three of them (`OrderedDict` and the two tensor
//! builders) and refuses all others, so that a hostile file can at worst be
//! refused. Both containers are read: the legacy stream (five pickles, then the
//! storages) and the zip archive (`data.pkl`, `data/KEY`).
//!
//! Sources: pickletools (protocol 2), `torch/serialization.py`.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};
use std::sync::Arc;

use super::{ConvertError, element_count, floats, half_to_float};

/// The tensors of a model by their full names; integer tensors are left out.
pub type StateDict = BTreeMap<String, StateTensor>;

/// One tensor of a state dict.
#[derive(Debug, Clone, PartialEq)]
pub struct StateTensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

/// First pickle of the legacy stream (`torch.serialization.MAGIC_NUMBER`), little-endian.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Values alive at once: ten times the largest known state dict.
const MAX_VALUES: usize = 200_000;
/// Nesting of tuples: a tensor's arguments nest three deep.
const MAX_DEPTH: u8 = 16;
/// Elements of all tensors together.
const MAX_TOTAL: usize = 128 << 20;
/// One entry of a zip archive, unpacked.
const MAX_ENTRY_BYTES: u64 = 512 << 20;

/// Reads the float tensors of a `.pth` file.
///
/// # Errors
/// [`ConvertError`] when the container or the pickle is damaged or needs anything but tensors.
pub fn read_state_dict(bytes: &[u8]) -> Result<StateDict, ConvertError> {
    if bytes.starts_with(b"PK\x03\x04") { read_archive(bytes) } else { read_legacy(bytes) }
}

fn read_legacy(bytes: &[u8]) -> Result<StateDict, ConvertError> {
    let mut at = 0;
    match unpickle(bytes, &mut at)? {
        Object::Bytes(magic) if *magic == LEGACY_MAGIC => {}
        _ => return Err(ConvertError::Malformed("state dict header")),
    }
    let _protocol = unpickle(bytes, &mut at)?;
    let _system = unpickle(bytes, &mut at)?;
    let Object::Dict(entries) = unpickle(bytes, &mut at)? else {
        return Err(ConvertError::Malformed("state dict"));
    };
    let Object::List(keys) = unpickle(bytes, &mut at)? else {
        return Err(ConvertError::Malformed("storage list"));
    };
    let kinds = storage_kinds(&entries);
    let mut storages = HashMap::new();
    for key in &keys {
        let Object::Text(key) = key else { return Err(ConvertError::Malformed("storage key")) };
        let length = bytes.get(at..at + 8).ok_or(ConvertError::Truncated("storage length"))?;
        let length =
            u64::from_le_bytes(length.try_into().map_err(|_| ConvertError::Truncated("storage length"))?);
        let size = kinds.get(&**key).map(|k| k.bytes()).ok_or(ConvertError::Malformed("storage key"))?;
        let end = element_count([length])? * size + at + 8;
        storages.insert(
            key.to_string(),
            bytes.get(at + 8..end).ok_or(ConvertError::Truncated("storage"))?.to_vec(),
        );
        at = end;
    }
    gather(&entries, &storages)
}

fn read_archive(bytes: &[u8]) -> Result<StateDict, ConvertError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))?;
    let program = archive
        .file_names()
        .filter_map(Result::ok)
        .find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned))
        .ok_or(ConvertError::Malformed("state dict archive"))?;
    let pickle = entry(&mut archive, &format!("{program}data.pkl"))?;
    let Object::Dict(entries) = unpickle(&pickle, &mut 0)? else {
        return Err(ConvertError::Malformed("state dict"));
    };
    let mut storages = HashMap::new();
    let mut total = 0;
    for key in storage_kinds(&entries).keys() {
        let raw = entry(&mut archive, &format!("{program}data/{key}"))?;
        total += raw.len();
        if total > 4 * MAX_TOTAL {
            return Err(ConvertError::Malformed("storage sizes"));
        }
        storages.insert((*key).to_owned(), raw);
    }
    gather(&entries, &storages)
}

fn entry(archive: &mut zip::ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Vec<u8>, ConvertError> {
    let mut out = Vec::new();
    let file = archive.by_name(name)?;
    file.take(MAX_ENTRY_BYTES).read_to_end(&mut out).map_err(|_| ConvertError::Truncated("archive entry"))?;
    Ok(out)
}

fn storage_kinds(entries: &[(Object, Object)]) -> HashMap<&str, Element> {
    let tensors = entries.iter().filter_map(|(_, v)| if let Object::Tensor(t) = v { Some(t) } else { None });
    tensors.map(|t| (&*t.storage.key, t.storage.element)).collect()
}

fn gather(
    entries: &[(Object, Object)],
    storages: &HashMap<String, Vec<u8>>,
) -> Result<StateDict, ConvertError> {
    let mut state = StateDict::new();
    let mut total = 0_usize;
    for (name, value) in entries {
        let (Object::Text(name), Object::Tensor(tensor)) = (name, value) else { continue };
        if tensor.storage.element == Element::Long {
            continue;
        }
        let count = element_count(tensor.shape.iter().map(|&d| d as u64))?;
        total = total.saturating_add(count);
        if total > MAX_TOTAL {
            return Err(ConvertError::TooLarge {
                what: "state dict element count",
                found: total as u64,
                limit: MAX_TOTAL as u64,
            });
        }
        let raw = storages.get(&*tensor.storage.key).ok_or(ConvertError::Malformed("storage key"))?;
        state.insert(name.to_string(), tensor.read(raw, count)?);
    }
    Ok(state)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Float,
    Half,
    Long,
}

impl Element {
    fn bytes(self) -> usize {
        match self {
            Element::Float => 4,
            Element::Half => 2,
            Element::Long => 8,
        }
    }
}

#[derive(Debug)]
struct Storage {
    key: Arc<str>,
    element: Element,
}

#[derive(Debug)]
struct Tensor {
    storage: Arc<Storage>,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Tensor {
    fn read(&self, raw: &[u8], count: usize) -> Result<StateTensor, ConvertError> {
        let size = self.storage.element.bytes();
        let reach = self.shape.iter().zip(&self.strides).try_fold(self.offset, |sum, (&d, &s)| {
            s.checked_mul(d.saturating_sub(1)).and_then(|r| sum.checked_add(r))
        });
        let fits = reach
            .and_then(|r| r.checked_add(1))
            .and_then(|r| r.checked_mul(size))
            .is_some_and(|r| r <= raw.len());
        if count > 0 && !fits {
            return Err(ConvertError::Truncated("storage"));
        }
        let all = match self.storage.element {
            Element::Float => floats(raw),
            _ => raw.chunks_exact(2).map(|c| half_to_float(u16::from_le_bytes([c[0], c[1]]))).collect(),
        };
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0_usize; self.shape.len()];
        for _ in 0..count {
            let at = self.offset + index.iter().zip(&self.strides).map(|(i, s)| i * s).sum::<usize>();
            values.push(all.get(at).copied().ok_or(ConvertError::Truncated("storage"))?);
            for (i, &d) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < d {
                    break;
                }
                *i = 0;
            }
        }
        Ok(StateTensor { shape: self.shape.clone(), values })
    }
}

/// A value on the pickle machine's stack. Clones are cheap: whatever is large is shared.
#[derive(Debug, Clone)]
enum Object {
    None,
    Mark,
    Bool,
    Int(i64),
    Float,
    Bytes(Arc<Vec<u8>>),
    Text(Arc<str>),
    Name(Arc<str>),
    Tuple(Arc<Vec<Object>>, u8),
    List(Vec<Object>),
    Dict(Vec<(Object, Object)>),
    Storage(Arc<Storage>),
    Tensor(Arc<Tensor>),
    /// A list or dict put into the memo: its later contents are not kept there.
    Opaque,
}

impl Object {
    fn int(&self) -> Result<usize, ConvertError> {
        match self {
            Object::Int(i) => usize::try_from(*i).map_err(|_| ConvertError::Malformed("integer")),
            _ => Err(ConvertError::Malformed("integer")),
        }
    }

    fn tuple(&self) -> Result<&[Object], ConvertError> {
        match self {
            Object::Tuple(items, _) => Ok(items),
            _ => Err(ConvertError::Malformed("tuple")),
        }
    }

    fn sizes(&self) -> Result<Vec<usize>, ConvertError> {
        let items = self.tuple()?;
        if items.len() > 8 {
            return Err(ConvertError::Malformed("tensor rank"));
        }
        items.iter().map(Object::int).collect()
    }
}

fn tuple(items: Vec<Object>) -> Result<Object, ConvertError> {
    let inner =
        items.iter().map(|o| if let Object::Tuple(_, depth) = o { *depth } else { 0 }).max().unwrap_or(0);
    let containers = items.iter().any(|o| matches!(o, Object::List(l) if !l.is_empty()))
        || items.iter().any(|o| matches!(o, Object::Dict(d) if !d.is_empty()));
    if inner >= MAX_DEPTH || containers {
        return Err(ConvertError::Malformed("nesting"));
    }
    Ok(Object::Tuple(Arc::new(items), inner + 1))
}

/// Whether an object may stand inside a list or dict: containers do not nest in a state dict.
fn plain(object: &Object) -> bool {
    !matches!(object, Object::List(_) | Object::Dict(_) | Object::Mark)
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Object>,
    memo: HashMap<u32, Object>,
}

fn unpickle(bytes: &[u8], at: &mut usize) -> Result<Object, ConvertError> {
    let mut machine = Machine { bytes, at: *at, stack: Vec::new(), memo: HashMap::new() };
    let object = machine.run()?;
    *at = machine.at;
    Ok(object)
}

impl<'a> Machine<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ConvertError> {
        let end = self.at.checked_add(length).ok_or(ConvertError::Truncated("pickle"))?;
        let slice = self.bytes.get(self.at..end).ok_or(ConvertError::Truncated("pickle"))?;
        self.at = end;
        Ok(slice)
    }

    fn byte(&mut self) -> Result<u8, ConvertError> {
        Ok(self.take(1)?.first().copied().unwrap_or(0))
    }

    fn u32(&mut self) -> Result<u32, ConvertError> {
        Ok(self.take(4)?.iter().rev().fold(0, |v, &b| (v << 8) | u32::from(b)))
    }

    fn line(&mut self) -> Result<&'a str, ConvertError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length =
            rest.iter().take(256).position(|&b| b == b'\n').ok_or(ConvertError::Truncated("pickle name"))?;
        let line = self.take(length + 1)?;
        std::str::from_utf8(line.get(..length).unwrap_or_default())
            .map_err(|_| ConvertError::Malformed("pickle name"))
    }

    fn text(&mut self, length: usize) -> Result<Object, ConvertError> {
        let text =
            std::str::from_utf8(self.take(length)?).map_err(|_| ConvertError::Malformed("pickle text"))?;
        Ok(Object::Text(text.into()))
    }

    fn pop(&mut self) -> Result<Object, ConvertError> {
        match self.stack.pop() {
            None | Some(Object::Mark) => Err(ConvertError::Malformed("pickle stack")),
            Some(object) => Ok(object),
        }
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Object>, ConvertError> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Object>, ConvertError> {
        let mark = self.stack.iter().rposition(|o| matches!(o, Object::Mark));
        let mark = mark.ok_or(ConvertError::Malformed("pickle stack"))?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn remember(&mut self, key: u32) -> Result<(), ConvertError> {
        let object = match self.stack.last() {
            None | Some(Object::Mark) => return Err(ConvertError::Malformed("pickle memo")),
            Some(Object::List(_) | Object::Dict(_)) => Object::Opaque,
            Some(object) => object.clone(),
        };
        self.memo.insert(key, object);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<Object, ConvertError> {
        self.memo.get(&key).cloned().ok_or(ConvertError::Malformed("pickle memo"))
    }

    fn run(&mut self) -> Result<Object, ConvertError> {
        loop {
            if self.stack.len() > MAX_VALUES || self.memo.len() > MAX_VALUES {
                return Err(ConvertError::Malformed("pickle size"));
            }
            let opcode = self.byte()?;
            let object = match opcode {
                b'.' => return self.pop(),
                0x80 => {
                    self.byte()?;
                    continue;
                }
                b'q' => {
                    let key = self.byte()?.into();
                    self.remember(key)?;
                    continue;
                }
                b'r' => {
                    let key = self.u32()?;
                    self.remember(key)?;
                    continue;
                }
                b's' => {
                    let pair = self.pop_many(2)?;
                    self.set_items(pair)?;
                    continue;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set_items(items)?;
                    continue;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                    continue;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.append(items)?;
                    continue;
                }
                // BUILD: a module's bookkeeping (`_metadata`), of no use here.
                b'b' => {
                    self.pop()?;
                    continue;
                }
                b'h' => {
                    let key = self.byte()?.into();
                    self.recall(key)?
                }
                b'j' => {
                    let key = self.u32()?;
                    self.recall(key)?
                }
                b'(' => Object::Mark,
                b'N' => Object::None,
                0x88 | 0x89 => Object::Bool,
                b'K' => Object::Int(self.byte()?.into()),
                b'M' => {
                    let low = i64::from(self.byte()?);
                    Object::Int(low | i64::from(self.byte()?) << 8)
                }
                b'J' => Object::Int(i64::from(self.u32()? as i32)),
                b'G' => {
                    self.take(8)?;
                    Object::Float
                }
                0x8a => {
                    let length = self.byte()?.into();
                    let bytes = self.take(length)?;
                    match length {
                        0..=7 => Object::Int(bytes.iter().rev().fold(0, |v, &b| (v << 8) | i64::from(b))),
                        _ => Object::Bytes(Arc::new(bytes.to_vec())),
                    }
                }
                b'X' => {
                    let length = self.u32()? as usize;
                    self.text(length)?
                }
                b'}' => Object::Dict(Vec::new()),
                b']' => Object::List(Vec::new()),
                b')' => tuple(Vec::new())?,
                0x85..=0x87 => {
                    let items = self.pop_many(usize::from(opcode - 0x84))?;
                    tuple(items)?
                }
                b't' => {
                    let items = self.pop_to_mark()?;
                    tuple(items)?
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    Object::Name(format!("{module}.{name}").into())
                }
                b'R' => {
                    let arguments = self.pop()?;
                    let Object::Name(name) = self.pop()? else {
                        return Err(ConvertError::Malformed("pickle call"));
                    };
                    call(&name, &arguments)?
                }
                b'Q' => persistent(&self.pop()?)?,
                other => {
                    return Err(ConvertError::Unsupported {
                        kind: "pickle opcode",
                        name: format!("0x{other:02x}"),
                    });
                }
            };
            self.stack.push(object);
        }
    }

    fn set_items(&mut self, items: Vec<Object>) -> Result<(), ConvertError> {
        let Some(Object::Dict(entries)) = self.stack.last_mut() else {
            return Err(ConvertError::Malformed("pickle dict"));
        };
        if !items.len().is_multiple_of(2) || entries.len() + items.len() > MAX_VALUES {
            return Err(ConvertError::Malformed("pickle dict"));
        }
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            // A dict in a dict is the system description of the legacy header: not needed.
            let value = if plain(&value) { value } else { Object::Opaque };
            if !plain(&key) {
                return Err(ConvertError::Malformed("pickle dict key"));
            }
            entries.push((key, value));
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<Object>) -> Result<(), ConvertError> {
        let Some(Object::List(list)) = self.stack.last_mut() else {
            return Err(ConvertError::Malformed("pickle list"));
        };
        if list.len() + items.len() > MAX_VALUES || !items.iter().all(plain) {
            return Err(ConvertError::Malformed("pickle list"));
        }
        list.extend(items);
        Ok(())
    }
}

/// The only three callables a state dict needs; nothing is ever imported or executed.
fn call(name: &str, arguments: &Object) -> Result<Object, ConvertError> {
    let arguments = arguments.tuple()?;
    match (name, arguments) {
        ("collections.OrderedDict", []) => Ok(Object::Dict(Vec::new())),
        ("torch._utils._rebuild_tensor_v2", [Object::Storage(storage), offset, shape, strides, ..]) => {
            let (shape, strides) = (shape.sizes()?, strides.sizes()?);
            if shape.len() != strides.len() {
                return Err(ConvertError::Malformed("tensor strides"));
            }
            let tensor = Tensor { storage: Arc::clone(storage), offset: offset.int()?, shape, strides };
            Ok(Object::Tensor(Arc::new(tensor)))
        }
        ("torch._utils._rebuild_parameter", [tensor @ Object::Tensor(_), ..]) => Ok(tensor.clone()),
        _ => Err(ConvertError::Unsupported { kind: "pickle callable", name: name.to_owned() }),
    }
}

/// `('storage', class, key, location, length, …)`.
fn persistent(id: &Object) -> Result<Object, ConvertError> {
    match id.tuple()? {
        [Object::Text(kind), Object::Name(class), Object::Text(key), ..] if &**kind == "storage" => {
            let element = match &**class {
                "torch.FloatStorage" => Element::Float,
                "torch.HalfStorage" => Element::Half,
                "torch.LongStorage" => Element::Long,
                other => return Err(ConvertError::Unsupported { kind: "storage", name: other.to_owned() }),
            };
            Ok(Object::Storage(Arc::new(Storage { key: Arc::clone(key), element })))
        }
        _ => Err(ConvertError::Malformed("storage")),
    }
}
