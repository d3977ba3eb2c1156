//! Writes an ONNX model: a graph under construction and its protobuf encoding.
//!
//! Source: onnx.proto of ONNX 1.x (field numbers beside each write), opset 13.
//! Only what the converters and tests need: float and int64 initialisers,
//! integer, float and string attributes, static shapes.

/// An attribute of a node.
#[derive(Debug, Clone)]
pub enum Attribute {
    /// One integer.
    Int(i64),
    /// Several integers.
    Ints(Vec<i64>),
    /// One float.
    Float(f32),
    /// A text.
    Text(String),
}

/// One operation of the graph.
#[derive(Debug, Clone)]
pub struct Node {
    /// ONNX operator name, such as `Conv`.
    pub op: &'static str,
    /// Names of the values it reads; an empty name is an absent optional input.
    pub inputs: Vec<String>,
    /// Name of the one value it makes.
    pub output: String,
    /// Attributes in the order they are written.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// The constant values of an initialiser.
#[derive(Debug, Clone)]
pub enum Constant {
    /// 32-bit floats.
    Float(Vec<f32>),
    /// 64-bit integers.
    Int(Vec<i64>),
}

/// A named constant tensor.
#[derive(Debug, Clone)]
pub struct Initialiser {
    /// Its name in the graph.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// Its values, row-major.
    pub values: Constant,
}

/// A graph under construction: nodes in execution order.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Nodes in execution order.
    pub nodes: Vec<Node>,
    /// Constants.
    pub initialisers: Vec<Initialiser>,
    inputs: Vec<(String, Vec<usize>)>,
    outputs: Vec<(String, Vec<usize>)>,
    next: usize,
}

impl Graph {
    /// Declares a float input with its shape; a size of 0 stands for any number (a batch).
    pub fn input(&mut self, name: &str, shape: &[usize]) {
        self.inputs.push((name.to_owned(), shape.to_vec()));
    }

    /// Declares a float output with its shape; a size of 0 stands for any number.
    pub fn output(&mut self, name: &str, shape: &[usize]) {
        self.outputs.push((name.to_owned(), shape.to_vec()));
    }

    /// Adds a float constant and returns its name.
    pub fn floats(&mut self, dims: &[usize], values: Vec<f32>) -> String {
        self.constant(dims, Constant::Float(values))
    }

    /// Adds an integer constant of one dimension and returns its name.
    pub fn ints(&mut self, values: Vec<i64>) -> String {
        self.constant(&[values.len()], Constant::Int(values))
    }

    fn constant(&mut self, dims: &[usize], values: Constant) -> String {
        self.next += 1;
        let name = format!("c{}", self.next);
        self.initialisers.push(Initialiser { name: name.clone(), dims: dims.to_vec(), values });
        name
    }

    /// Adds a node with a fresh output name and returns that name.
    pub fn node(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Vec<(&'static str, Attribute)>,
    ) -> String {
        self.next += 1;
        let output = format!("v{}", self.next);
        self.named(op, inputs, &output, attributes);
        output
    }

    /// Adds a node whose output has the given name.
    pub fn named(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<(&'static str, Attribute)>,
    ) {
        let inputs = inputs.iter().map(|&i| i.to_owned()).collect();
        self.nodes.push(Node { op, inputs, output: output.to_owned(), attributes });
    }

    /// A two-dimensional convolution. `weights` is `[out, in / groups, height, width]`, `pads` is top, left, bottom, right.
    #[expect(
        clippy::too_many_arguments,
        reason = "these are the operator's own parameters, all used at every call"
    )]
    pub fn conv(
        &mut self,
        x: &str,
        dims: [usize; 4],
        weights: Vec<f32>,
        bias: Vec<f32>,
        stride: [usize; 2],
        pads: [usize; 4],
        groups: usize,
    ) -> String {
        let w = self.floats(&dims, weights);
        let b = self.floats(&[dims[0]], bias);
        let attributes = vec![
            ("group", Attribute::Int(groups as i64)),
            ("kernel_shape", Attribute::Ints(vec![dims[2] as i64, dims[3] as i64])),
            ("pads", Attribute::Ints(pads.map(|p| p as i64).to_vec())),
            ("strides", Attribute::Ints(stride.map(|s| s as i64).to_vec())),
        ];
        self.node("Conv", &[x, &w, &b], attributes)
    }

    /// The values of a float constant, for folding.
    pub fn floats_mut(&mut self, name: &str) -> Option<(&[usize], &mut Vec<f32>)> {
        self.initialisers.iter_mut().find(|i| i.name == name).and_then(|i| match &mut i.values {
            Constant::Float(values) => Some((i.dims.as_slice(), values)),
            Constant::Int(_) => None,
        })
    }

    /// The model as ONNX protobuf bytes. The same graph always gives the same bytes.
    pub fn encode(&self, name: &str) -> Vec<u8> {
        let mut graph = Message::default();
        for node in &self.nodes {
            graph.message(1, &encode_node(node));
        }
        graph.text(2, name);
        for initialiser in &self.initialisers {
            graph.message(5, &encode_tensor(initialiser));
        }
        for (name, shape) in &self.inputs {
            graph.message(11, &encode_value(name, shape));
        }
        for (name, shape) in &self.outputs {
            graph.message(12, &encode_value(name, shape));
        }
        let mut opset = Message::default();
        opset.text(1, "");
        opset.int(2, 13);
        let mut model = Message::default();
        model.int(1, 7); // ir_version
        model.text(2, "bonafide");
        model.message(7, &graph);
        model.message(8, &opset);
        model.0
    }
}

fn encode_node(node: &Node) -> Message {
    let mut m = Message::default();
    for input in &node.inputs {
        m.text(1, input);
    }
    m.text(2, &node.output);
    m.text(3, &node.output);
    m.text(4, node.op);
    for (name, value) in &node.attributes {
        let mut a = Message::default();
        a.text(1, name);
        match value {
            Attribute::Float(f) => {
                a.key(2, 5);
                a.0.extend_from_slice(&f.to_le_bytes());
                a.int(20, 1);
            }
            Attribute::Int(i) => {
                a.int(3, *i);
                a.int(20, 2);
            }
            Attribute::Text(s) => {
                a.text(4, s);
                a.int(20, 3);
            }
            Attribute::Ints(ints) => {
                for i in ints {
                    a.int(8, *i);
                }
                a.int(20, 7);
            }
        }
        m.message(5, &a);
    }
    m
}

fn encode_tensor(initialiser: &Initialiser) -> Message {
    let mut m = Message::default();
    for dim in &initialiser.dims {
        m.int(1, *dim as i64);
    }
    let (data_type, raw) = match &initialiser.values {
        Constant::Float(v) => (1, v.iter().flat_map(|f| f.to_le_bytes()).collect::<Vec<u8>>()),
        Constant::Int(v) => (7, v.iter().flat_map(|i| i.to_le_bytes()).collect()),
    };
    m.int(2, data_type);
    m.text(8, &initialiser.name);
    m.bytes(9, &raw);
    m
}

fn encode_value(name: &str, shape: &[usize]) -> Message {
    let mut dims = Message::default();
    for dim in shape {
        let mut d = Message::default();
        match *dim {
            0 => d.text(2, "batch"),
            size => d.int(1, size as i64),
        }
        dims.message(1, &d);
    }
    let mut tensor = Message::default();
    tensor.int(1, 1); // FLOAT
    tensor.message(2, &dims);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut m = Message::default();
    m.text(1, name);
    m.message(2, &kind);
    m
}

/// A protobuf message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint((field << 3) | wire);
    }

    fn int(&mut self, field: u64, value: i64) {
        self.key(field, 0);
        self.varint(value as u64);
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    fn message(&mut self, field: u64, value: &Message) {
        self.bytes(field, &value.0);
    }
}
