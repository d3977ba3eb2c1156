//! Converts a TensorFlow.js graph model (`model.json` + weight shards joined) to ONNX.
//!
//! TensorFlow keeps images channel-last; the converted graph is planar, so
//! constants are transposed here and a transpose is emitted only before a
//! reshape that would otherwise change the order. `SAME` padding depends on the
//! image size, which is fixed, so it is written out as explicit padding.
//! Multiplications and additions of constants behind a convolution are folded into it.
//!
//! Source: TensorFlow.js converter format (`modelTopology.node`,
//! `weightsManifest`), operator semantics of TensorFlow 2.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::onnx::{Attribute, Graph};
use super::{ConvertError, element_count, floats, half_to_float};

const MAX_NODES: usize = 8192;

/// Converts a graph model. The outputs keep their names and stand in the order of those names.
///
/// # Errors
/// [`ConvertError`] when the graph is damaged or uses an operator outside of the known models.
pub fn tfjs(json: &[u8], weights: &[u8]) -> Result<Vec<u8>, ConvertError> {
    let model: Model = serde_json::from_slice(json)?;
    if model.topology.node.len() > MAX_NODES {
        return Err(ConvertError::TooLarge {
            what: "node count",
            found: model.topology.node.len() as u64,
            limit: MAX_NODES as u64,
        });
    }
    let constants = read_weights(&model.weights_manifest, weights)?;
    Converter::new(&model, constants).convert()
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "modelTopology")]
    topology: Topology,
    #[serde(rename = "weightsManifest")]
    weights_manifest: Vec<Group>,
    signature: Option<Signature>,
}

#[derive(Deserialize)]
struct Topology {
    node: Vec<Operation>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(default)]
    outputs: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Operation {
    name: String,
    op: String,
    #[serde(default)]
    input: Vec<String>,
    #[serde(default)]
    attr: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Group {
    weights: Vec<Weight>,
}

#[derive(Deserialize)]
struct Weight {
    name: String,
    shape: Vec<u64>,
    dtype: String,
    quantization: Option<Quantisation>,
}

#[derive(Deserialize)]
struct Quantisation {
    dtype: String,
    #[serde(default)]
    min: f32,
    #[serde(default)]
    scale: f32,
}

#[derive(Clone)]
struct Constant {
    shape: Vec<usize>,
    values: Vec<f32>,
}

fn read_weights(groups: &[Group], bytes: &[u8]) -> Result<BTreeMap<String, Constant>, ConvertError> {
    let mut at = 0_usize;
    let mut constants = BTreeMap::new();
    for weight in groups.iter().flat_map(|g| &g.weights) {
        let count = element_count(weight.shape.iter().copied())?;
        let stored = weight.quantization.as_ref().map_or(weight.dtype.as_str(), |q| q.dtype.as_str());
        let size = match stored {
            "float32" | "int32" => 4,
            "float16" | "uint16" => 2,
            "uint8" => 1,
            other => {
                return Err(ConvertError::Unsupported { kind: "weight data type", name: other.to_owned() });
            }
        };
        let raw = bytes.get(at..at + count * size).ok_or(ConvertError::Truncated("weights"))?;
        at += count * size;
        let affine = |code: f32| weight.quantization.as_ref().map_or(code, |q| code * q.scale + q.min);
        let values = match stored {
            "float32" => floats(raw),
            "int32" => {
                raw.chunks_exact(4).map(|c| i32::from_le_bytes([c[0], c[1], c[2], c[3]]) as f32).collect()
            }
            "float16" => {
                raw.chunks_exact(2).map(|c| half_to_float(u16::from_le_bytes([c[0], c[1]]))).collect()
            }
            "uint16" => {
                raw.chunks_exact(2).map(|c| affine(f32::from(u16::from_le_bytes([c[0], c[1]])))).collect()
            }
            _ => raw.iter().map(|&b| affine(f32::from(b))).collect(),
        };
        let shape = weight.shape.iter().map(|&d| d as usize).collect();
        constants.insert(weight.name.clone(), Constant { shape, values });
    }
    Ok(constants)
}

/// A value of the converted graph. Four dimensions are planar: `[1, channels, height, width]`.
#[derive(Clone)]
struct Value {
    name: String,
    shape: Vec<usize>,
}

impl Value {
    fn image(&self) -> Result<[usize; 3], ConvertError> {
        match self.shape[..] {
            [1, c, h, w] => Ok([c, h, w]),
            _ => Err(ConvertError::Malformed("image shape")),
        }
    }
}

struct Converter<'a> {
    operations: BTreeMap<&'a str, &'a Operation>,
    outputs: Vec<&'a str>,
    uses: BTreeMap<&'a str, usize>,
    constants: BTreeMap<String, Constant>,
    values: BTreeMap<&'a str, Value>,
    graph: Graph,
}

/// The name of the producing node: `node:0` and `^node` both mean `node`.
fn producer(input: &str) -> &str {
    let input = input.strip_prefix('^').unwrap_or(input);
    input.split_once(':').map_or(input, |(name, _)| name)
}

impl<'a> Converter<'a> {
    fn new(model: &'a Model, constants: BTreeMap<String, Constant>) -> Self {
        let operations: BTreeMap<_, _> = model.topology.node.iter().map(|n| (n.name.as_str(), n)).collect();
        let mut uses = BTreeMap::new();
        for input in model.topology.node.iter().flat_map(|n| &n.input) {
            *uses.entry(producer(input)).or_insert(0) += 1;
        }
        let mut outputs: BTreeSet<&str> = model
            .signature
            .iter()
            .flat_map(|s| s.outputs.values())
            .filter_map(|v| v.get("name").and_then(|n| n.as_str()))
            .map(producer)
            .filter(|name| operations.contains_key(name))
            .collect();
        if outputs.is_empty() {
            outputs = operations
                .iter()
                .filter(|(name, n)| n.op != "Const" && n.op != "Placeholder" && !uses.contains_key(*name))
                .map(|(name, _)| *name)
                .collect();
        }
        for output in &outputs {
            *uses.entry(output).or_insert(0) += 1;
        }
        let outputs = outputs.into_iter().collect();
        Self { operations, outputs, uses, constants, values: BTreeMap::new(), graph: Graph::default() }
    }

    fn convert(mut self) -> Result<Vec<u8>, ConvertError> {
        for name in self.order()? {
            let operation = self.operations.get(name).copied().ok_or(ConvertError::Malformed("graph"))?;
            let value = self.operation(operation)?;
            if value.shape.iter().product::<usize>() > 1 << 26 {
                return Err(ConvertError::Malformed("value size"));
            }
            self.values.insert(name, value);
        }
        for output in std::mem::take(&mut self.outputs) {
            let value = self.values.get(output).cloned().ok_or(ConvertError::Malformed("graph output"))?;
            self.graph.named("Identity", &[&value.name], output, Vec::new());
            self.graph.output(output, &value.shape);
        }
        Ok(self.graph.encode("tfjs"))
    }

    /// The computing nodes the outputs need, each after its inputs.
    fn order(&self) -> Result<Vec<&'a str>, ConvertError> {
        let mut order = Vec::new();
        let mut opened = BTreeSet::new();
        let mut closed = BTreeSet::new();
        let mut stack: Vec<&'a str> = self.outputs.clone();
        while let Some(&name) = stack.last() {
            if closed.contains(name) || self.constants.contains_key(name) {
                stack.pop();
                continue;
            }
            let operation = self.operations.get(name).ok_or(ConvertError::Malformed("graph edge"))?;
            if opened.insert(name) {
                for input in &operation.input {
                    let input = producer(input);
                    if opened.contains(input) && !closed.contains(input) {
                        return Err(ConvertError::Malformed("graph with a cycle"));
                    }
                    stack.push(input);
                }
            } else {
                stack.pop();
                closed.insert(name);
                order.push(name);
            }
        }
        Ok(order)
    }

    fn value(&self, operation: &Operation, index: usize) -> Result<Value, ConvertError> {
        let name = operation.input.get(index).ok_or(ConvertError::Malformed("operator inputs"))?;
        self.values.get(producer(name)).cloned().ok_or(ConvertError::Malformed("operator input"))
    }

    fn constant(&self, operation: &Operation, index: usize) -> Option<&Constant> {
        operation.input.get(index).and_then(|name| self.constants.get(producer(name)))
    }

    fn expect_constant(&self, operation: &Operation, index: usize) -> Result<Constant, ConvertError> {
        self.constant(operation, index).cloned().ok_or_else(|| ConvertError::Tensor(operation.name.clone()))
    }

    fn operation(&mut self, n: &Operation) -> Result<Value, ConvertError> {
        match n.op.as_str() {
            "Placeholder" => self.placeholder(n),
            "Identity" => self.value(n, 0),
            "Conv2D" | "_FusedConv2D" => self.convolution(n, false),
            "DepthwiseConv2dNative" | "FusedDepthwiseConv2dNative" => self.convolution(n, true),
            "AddV2" | "Add" | "BiasAdd" => self.arithmetic(n, "Add"),
            "Mul" => self.arithmetic(n, "Mul"),
            "Relu" => self.simple(n, "Relu"),
            "Sigmoid" => self.simple(n, "Sigmoid"),
            "Relu6" => {
                let x = self.value(n, 0)?;
                Ok(self.clip(&x, 0.0, 6.0))
            }
            "Minimum" => {
                let (x, c) = (self.value(n, 0)?, self.scalar(n, 1)?);
                Ok(self.clip(&x, f32::MIN, c))
            }
            "Maximum" => {
                let (x, c) = (self.value(n, 0)?, self.scalar(n, 1)?);
                Ok(self.clip(&x, c, f32::MAX))
            }
            "Softmax" => {
                let x = self.value(n, 0)?;
                let name = self.graph.node("Softmax", &[&x.name], vec![("axis", Attribute::Int(-1))]);
                Ok(Value { name, ..x })
            }
            "Prelu" => {
                let x = self.value(n, 0)?;
                let slope = self.expect_constant(n, 1)?;
                self.prelu(x, slope)
            }
            "MaxPool" => self.max_pool(n),
            "Pad" => self.pad(n),
            "Reshape" => self.reshape(n),
            "ConcatV2" => self.concatenate(n),
            "Mean" => self.mean(n),
            "MatMul" | "_FusedMatMul" => self.dense(n),
            other => Err(ConvertError::Unsupported { kind: "operator", name: other.to_owned() }),
        }
    }

    fn placeholder(&mut self, n: &Operation) -> Result<Value, ConvertError> {
        let dims: Vec<i64> = n
            .attr
            .get("shape")
            .and_then(|s| s.pointer("/shape/dim"))
            .and_then(|d| d.as_array())
            .map(|d| d.iter().map(|x| integer(x.get("size"))).collect())
            .unwrap_or_default();
        let [batch, height, width, channels] = dims[..] else {
            return Err(ConvertError::Malformed("input shape"));
        };
        let plausible = |d: i64| (1..=4096).contains(&d);
        if batch > 1 || ![height, width, channels].into_iter().all(plausible) {
            return Err(ConvertError::Malformed("input shape"));
        }
        let shape = vec![1, channels as usize, height as usize, width as usize];
        self.graph.input(&n.name, &shape);
        Ok(Value { name: n.name.clone(), shape })
    }

    fn convolution(&mut self, n: &Operation, depthwise: bool) -> Result<Value, ConvertError> {
        let x = self.value(n, 0)?;
        let [channels, height, width] = x.image()?;
        let filter = self.expect_constant(n, 1)?;
        let [kh, kw, inputs, last] = filter.shape[..] else {
            return Err(ConvertError::Tensor(n.name.clone()));
        };
        if inputs != channels || kh == 0 || kw == 0 || last == 0 || dilated(n) {
            return Err(ConvertError::Tensor(n.name.clone()));
        }
        // TensorFlow: [kh, kw, in, out], depthwise [kh, kw, in, multiplier]. ONNX: [out, in / group, kh, kw].
        let (outputs, per_group) = if depthwise { (channels * last, 1) } else { (last, channels) };
        let mut weights = vec![0.0; filter.values.len()];
        for (source, &value) in filter.values.iter().enumerate() {
            let (o, i, x, y) = (
                source % last,
                source / last % inputs,
                source / last / inputs % kw,
                source / last / inputs / kw,
            );
            let (o, i) = if depthwise { (i * last + o, 0) } else { (o, i) };
            if let Some(slot) = weights.get_mut(((o * per_group + i) * kh + y) * kw + x) {
                *slot = value;
            }
        }
        let stride = spatial(n, "strides")?;
        let ([top, bottom], oh) = padding(n, height, kh, stride[0])?;
        let ([left, right], ow) = padding(n, width, kw, stride[1])?;
        let groups = if depthwise { channels } else { 1 };
        let fused = list(n, "fused_ops");
        let mut bias = vec![0.0; outputs];
        let mut rest = fused.as_slice();
        let mut next = 2;
        if let [first, tail @ ..] = rest
            && first == "BiasAdd"
        {
            bias = self.expect_constant(n, next)?.values;
            next += 1;
            rest = tail;
        }
        if bias.len() != outputs {
            return Err(ConvertError::Tensor(n.name.clone()));
        }
        let name = self.graph.conv(
            &x.name,
            [outputs, per_group, kh, kw],
            weights,
            bias,
            stride,
            [top, left, bottom, right],
            groups,
        );
        let y = Value { name, shape: vec![1, outputs, oh, ow] };
        self.activation(n, y, rest, next)
    }

    fn activation(
        &mut self,
        n: &Operation,
        x: Value,
        fused: &[String],
        next: usize,
    ) -> Result<Value, ConvertError> {
        match fused {
            [] => Ok(x),
            [one] => match one.as_str() {
                "Relu" => Ok(Value { name: self.graph.node("Relu", &[&x.name], Vec::new()), ..x }),
                "Relu6" => Ok(self.clip(&x, 0.0, 6.0)),
                "Prelu" => {
                    let slope = self.expect_constant(n, next)?;
                    self.prelu(x, slope)
                }
                other => Err(ConvertError::Unsupported { kind: "fused operator", name: other.to_owned() }),
            },
            _ => Err(ConvertError::Unsupported { kind: "fused operators", name: fused.join("+") }),
        }
    }

    fn prelu(&mut self, x: Value, slope: Constant) -> Result<Value, ConvertError> {
        let [channels, ..] = x.image()?;
        if slope.values.len() != channels {
            return Err(ConvertError::Malformed("slope"));
        }
        // x·a + max(x, 0)·(1 - a), as convolutions of one pixel and one channel: ONNX Runtime has fast blocked
        // kernels for those and none for PRelu (Face Mesh: 2.1 ms instead of 5.3).
        let rest = slope.values.iter().map(|a| 1.0 - a).collect();
        let scaled = |graph: &mut Graph, x: &str, factors: Vec<f32>| {
            let bias = vec![0.0; channels];
            graph.conv(x, [channels, 1, 1, 1], factors, bias, [1, 1], [0; 4], channels)
        };
        let positive = self.graph.node("Relu", &[&x.name], Vec::new());
        let straight = scaled(&mut self.graph, &x.name, slope.values);
        let bent = scaled(&mut self.graph, &positive, rest);
        Ok(Value { name: self.graph.node("Add", &[&bent, &straight], Vec::new()), ..x })
    }

    fn simple(&mut self, n: &Operation, op: &'static str) -> Result<Value, ConvertError> {
        let x = self.value(n, 0)?;
        Ok(Value { name: self.graph.node(op, &[&x.name], Vec::new()), ..x })
    }

    fn clip(&mut self, x: &Value, low: f32, high: f32) -> Value {
        let low = self.graph.floats(&[], vec![low]);
        let high = self.graph.floats(&[], vec![high]);
        Value { name: self.graph.node("Clip", &[&x.name, &low, &high], Vec::new()), shape: x.shape.clone() }
    }

    fn scalar(&self, n: &Operation, index: usize) -> Result<f32, ConvertError> {
        match self.constant(n, index).map(|c| c.values.as_slice()) {
            Some([value]) => Ok(*value),
            _ => Err(ConvertError::Tensor(n.name.clone())),
        }
    }

    /// Addition and multiplication of two values, or of a value and a constant per channel.
    fn arithmetic(&mut self, n: &Operation, op: &'static str) -> Result<Value, ConvertError> {
        let (at, constant) = match (self.constant(n, 0), self.constant(n, 1)) {
            (None, Some(c)) => (0, c.clone()),
            (Some(c), None) => (1, c.clone()),
            (None, None) => {
                let (a, b) = (self.value(n, 0)?, self.value(n, 1)?);
                if a.shape != b.shape {
                    return Err(ConvertError::Malformed("operand shapes"));
                }
                return Ok(Value { name: self.graph.node(op, &[&a.name, &b.name], Vec::new()), ..a });
            }
            (Some(_), Some(_)) => return Err(ConvertError::Malformed("operands")),
        };
        let x = self.value(n, at)?;
        let channels = x.shape.get(1).copied().unwrap_or(0);
        if constant.values.len() != channels && constant.values.len() != 1 {
            return Err(ConvertError::Malformed("operand shapes"));
        }
        let source = n.input.get(at).map_or("", |s| producer(s));
        if self.uses.get(source) == Some(&1) && self.fold(&x, op, &constant.values) {
            return Ok(x);
        }
        let mut dims = vec![1; x.shape.len()];
        if let Some(d) = dims.get_mut(1) {
            *d = constant.values.len();
        }
        let c = self.graph.floats(&dims, constant.values);
        Ok(Value { name: self.graph.node(op, &[&x.name, &c], Vec::new()), ..x })
    }

    /// Folds a per-channel constant into the convolution that makes `x`, if one does.
    fn fold(&mut self, x: &Value, op: &str, constant: &[f32]) -> bool {
        let Some(node) = self.graph.nodes.last().filter(|n| n.op == "Conv" && n.output == x.name) else {
            return false;
        };
        let [_, weights, bias] = node.inputs.as_slice() else { return false };
        let (weights, bias) = (weights.clone(), bias.clone());
        let factor = |channel: usize| constant.get(channel).or(constant.first()).copied().unwrap_or(0.0);
        let Some((_, b)) = self.graph.floats_mut(&bias) else { return false };
        let outputs = b.len();
        for (channel, value) in b.iter_mut().enumerate() {
            if op == "Add" { *value += factor(channel) } else { *value *= factor(channel) }
        }
        if op == "Mul"
            && let Some((_, w)) = self.graph.floats_mut(&weights)
        {
            let per_filter = (w.len() / outputs.max(1)).max(1);
            for (channel, filter) in w.chunks_mut(per_filter).enumerate() {
                filter.iter_mut().for_each(|v| *v *= factor(channel));
            }
        }
        true
    }

    fn max_pool(&mut self, n: &Operation) -> Result<Value, ConvertError> {
        let x = self.value(n, 0)?;
        let [channels, height, width] = x.image()?;
        let kernel = spatial(n, "ksize")?;
        let stride = spatial(n, "strides")?;
        let ([top, bottom], oh) = padding(n, height, kernel[0], stride[0])?;
        let ([left, right], ow) = padding(n, width, kernel[1], stride[1])?;
        let ints = |v: &[usize]| Attribute::Ints(v.iter().map(|&i| i as i64).collect());
        let attributes = vec![
            ("kernel_shape", ints(&kernel)),
            ("pads", ints(&[top, left, bottom, right])),
            ("strides", ints(&stride)),
        ];
        let name = self.graph.node("MaxPool", &[&x.name], attributes);
        Ok(Value { name, shape: vec![1, channels, oh, ow] })
    }

    fn pad(&mut self, n: &Operation) -> Result<Value, ConvertError> {
        let x = self.value(n, 0)?;
        let [channels, height, width] = x.image()?;
        let pads = self.expect_constant(n, 1)?.values;
        let [0.0, 0.0, top, bottom, left, right, before, after] = pads[..] else {
            return Err(ConvertError::Malformed("padding"));
        };
        let amounts = [before, top, left, after, bottom, right];
        if amounts.iter().any(|p| !(0.0..=4096.0).contains(p)) {
            return Err(ConvertError::Malformed("padding"));
        }
        let [before, top, left, after, bottom, right] = amounts.map(|p| p as usize);
        let all = [0, before, top, left, 0, after, bottom, right].map(|p| p as i64).to_vec();
        let pads = self.graph.ints(all);
        let name = self.graph.node("Pad", &[&x.name, &pads], Vec::new());
        let shape = vec![1, channels + before + after, height + top + bottom, width + left + right];
        Ok(Value { name, shape })
    }

    fn reshape(&mut self, n: &Operation) -> Result<Value, ConvertError> {
        let x = self.value(n, 0)?;
        let wanted = self.expect_constant(n, 1)?.values;
        let total: usize = x.shape.iter().product();
        let known: usize = wanted.iter().filter(|&&d| d > 0.0).map(|&d| d as usize).product();
        if known == 0 || !total.is_multiple_of(known) || wanted.len() > 6 {
            return Err(ConvertError::Malformed("reshape"));
        }
        let shape: Vec<usize> =
            wanted.iter().map(|&d| if d > 0.0 { d as usize } else { total / known }).collect();
        if shape.iter().product::<usize>() != total || shape.len() == 4 {
            return Err(ConvertError::Malformed("reshape"));
        }
        let mut name = x.name.clone();
        if let [1, c, h, w] = x.shape[..]
            && c > 1
            && h * w > 1
        {
            name = self.graph.node("Transpose", &[&name], vec![("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
        }
        let dims = self.graph.ints(shape.iter().map(|&d| d as i64).collect());
        Ok(Value { name: self.graph.node("Reshape", &[&name, &dims], Vec::new()), shape })
    }

    fn concatenate(&mut self, n: &Operation) -> Result<Value, ConvertError> {
        let count = n.input.len().saturating_sub(1);
        let axis = self.scalar(n, count)?;
        let parts = (0..count).map(|i| self.value(n, i)).collect::<Result<Vec<_>, _>>()?;
        let first = parts.first().ok_or(ConvertError::Malformed("concatenation"))?;
        let rank = first.shape.len();
        let axis = if axis < 0.0 { (rank as f32 + axis) as usize } else { axis as usize };
        // Channel-last axes to planar ones.
        let axis = if rank == 4 { [0, 2, 3, 1].get(axis).copied().unwrap_or(rank) } else { axis };
        let mut shape = first.shape.clone();
        let total = parts.iter().map(|p| p.shape.get(axis).copied().unwrap_or(0)).sum();
        *shape.get_mut(axis).ok_or(ConvertError::Malformed("concatenation"))? = total;
        let names: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
        let name = self.graph.node("Concat", &names, vec![("axis", Attribute::Int(axis as i64))]);
        Ok(Value { name, shape })
    }

    fn mean(&mut self, n: &Operation) -> Result<Value, ConvertError> {
        let x = self.value(n, 0)?;
        let [channels, ..] = x.image()?;
        if self.expect_constant(n, 1)?.values != [1.0, 2.0] {
            return Err(ConvertError::Unsupported { kind: "mean over axes of", name: n.name.clone() });
        }
        let name = self.graph.node("GlobalAveragePool", &[&x.name], Vec::new());
        let keep = n.attr.get("keep_dims").and_then(|k| k.get("b")).and_then(serde_json::Value::as_bool);
        if keep == Some(true) {
            return Ok(Value { name, shape: vec![1, channels, 1, 1] });
        }
        let name = self.graph.node("Flatten", &[&name], vec![("axis", Attribute::Int(1))]);
        Ok(Value { name, shape: vec![1, channels] })
    }

    fn dense(&mut self, n: &Operation) -> Result<Value, ConvertError> {
        let x = self.value(n, 0)?;
        let weights = self.expect_constant(n, 1)?;
        let ([1, inputs], [rows, outputs]) = (&x.shape[..], &weights.shape[..]) else {
            return Err(ConvertError::Tensor(n.name.clone()));
        };
        if inputs != rows {
            return Err(ConvertError::Tensor(n.name.clone()));
        }
        let outputs = *outputs;
        let w = self.graph.floats(&weights.shape, weights.values);
        let mut name = self.graph.node("MatMul", &[&x.name, &w], Vec::new());
        let fused = list(n, "fused_ops");
        let mut rest = fused.as_slice();
        let mut next = 2;
        if let [first, tail @ ..] = rest
            && first == "BiasAdd"
        {
            let bias = self.expect_constant(n, next)?.values;
            if bias.len() != outputs {
                return Err(ConvertError::Tensor(n.name.clone()));
            }
            let b = self.graph.floats(&[outputs], bias);
            name = self.graph.node("Add", &[&name, &b], Vec::new());
            next += 1;
            rest = tail;
        }
        self.activation(n, Value { name, shape: vec![1, outputs] }, rest, next)
    }
}

/// An integer as protobuf's JSON writes it: a number or a text.
fn integer(value: Option<&serde_json::Value>) -> i64 {
    match value {
        Some(serde_json::Value::Number(n)) => n.as_i64().unwrap_or(0),
        Some(serde_json::Value::String(s)) => s.parse().unwrap_or(0),
        _ => 0,
    }
}

/// Height and width of a channel-last list of four, such as strides.
fn spatial(n: &Operation, attribute: &str) -> Result<[usize; 2], ConvertError> {
    let list = n.attr.get(attribute).and_then(|a| a.pointer("/list/i")).and_then(|l| l.as_array());
    let [batch, height, width, channel] = list.map(Vec::as_slice).unwrap_or_default() else {
        return Err(ConvertError::Malformed("window"));
    };
    let (height, width) = (integer(Some(height)), integer(Some(width)));
    let sane = |v: i64| (1..=64).contains(&v);
    if integer(Some(batch)) != 1 || integer(Some(channel)) != 1 || !sane(height) || !sane(width) {
        return Err(ConvertError::Malformed("window"));
    }
    Ok([height as usize, width as usize])
}

fn dilated(n: &Operation) -> bool {
    n.attr
        .get("dilations")
        .and_then(|a| a.pointer("/list/i"))
        .and_then(|l| l.as_array())
        .is_some_and(|l| l.iter().any(|d| integer(Some(d)) != 1))
}

/// Padding before and after along one side, and the resulting length.
fn padding(
    n: &Operation,
    length: usize,
    kernel: usize,
    stride: usize,
) -> Result<([usize; 2], usize), ConvertError> {
    let kind =
        n.attr.get("padding").and_then(|p| p.get("s")).and_then(|s| s.as_str()).map(text).unwrap_or_default();
    match kind.as_str() {
        "SAME" => {
            let out = length.div_ceil(stride);
            let total = (out.saturating_sub(1) * stride + kernel).saturating_sub(length);
            Ok(([total / 2, total - total / 2], out))
        }
        "VALID" => {
            let room = length.checked_sub(kernel).ok_or(ConvertError::Malformed("window"))?;
            Ok(([0, 0], room / stride + 1))
        }
        _ => Err(ConvertError::Unsupported { kind: "padding", name: kind }),
    }
}

/// A list of texts, such as the names of fused operators.
fn list(n: &Operation, attribute: &str) -> Vec<String> {
    let list = n.attr.get(attribute).and_then(|a| a.pointer("/list/s")).and_then(|l| l.as_array());
    list.map(|l| l.iter().filter_map(|s| s.as_str()).map(text).collect()).unwrap_or_default()
}

/// Protobuf's JSON writes bytes in base64; these are all short ASCII words. Anything else becomes empty.
fn text(base64: &str) -> String {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in base64.bytes().take(64).filter(|&b| b != b'=') {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return String::new(),
        };
        bits = (bits << 6) | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    String::from_utf8(out).unwrap_or_default()
}
