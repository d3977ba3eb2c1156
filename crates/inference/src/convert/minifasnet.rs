//! Rebuilds Minivision's MiniFASNet as a graph from its state dict.
//!
//! The topology follows from the tensor names: two plain convolutions, three
//! stages of inverted bottlenecks (`conv_23`/`conv_3`, `conv_34`/`conv_4`,
//! `conv_45`/`conv_5`), squeeze-and-excitation where a block has it, a 5×5
//! depthwise convolution over what is left, and two dense layers. Widths and
//! block counts are read from the tensors, so all published variants convert.
//! Batch normalisation is folded into the layer before it.

use super::ConvertError;
use super::onnx::{Attribute, Graph};
use super::torch::{StateDict, StateTensor};

const SIDE: usize = 80;
/// PyTorch's default for batch normalisation.
const EPSILON: f32 = 1e-5;

/// Builds the graph: input `[1, 3, 80, 80]` BGR 0..255, output `logits` `[1, 3]`, class 1 = live.
pub(super) fn build(state: &StateDict) -> Result<Vec<u8>, ConvertError> {
    let prefix = if state.keys().any(|k| k.starts_with("module.")) { "module." } else { "" };
    let mut net = Builder { state, prefix, graph: Graph::default() };
    net.graph.input("input", &[1, 3, SIDE, SIDE]);
    let mut x = Value { name: "input".to_owned(), channels: 3, side: SIDE };
    x = net.convolution(&x, "conv1", 2, 1)?;
    x = net.convolution(&x, "conv2_dw", 1, 1)?;
    for (down, stage) in [("conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5")] {
        x = net.bottleneck(&x, down, 2)?;
        for block in 0..64 {
            let name = format!("{stage}.model.{block}");
            if !net.has(&format!("{name}.conv.conv.weight")) {
                break;
            }
            let y = net.bottleneck(&x, &name, 1)?;
            if y.channels != x.channels {
                return Err(ConvertError::Tensor(name));
            }
            x.name = net.graph.node("Add", &[&x.name, &y.name], Vec::new());
        }
    }
    x = net.convolution(&x, "conv_6_sep", 1, 0)?;
    x = net.convolution(&x, "conv_6_dw", 1, 0)?;
    if x.side != 1 {
        return Err(ConvertError::Tensor("conv_6_dw".to_owned()));
    }
    let flat = net.graph.node("Flatten", &[&x.name], vec![("axis", Attribute::Int(1))]);
    net.head(&flat, x.channels)?;
    Ok(net.graph.encode("minifasnet"))
}

#[derive(Clone)]
struct Value {
    name: String,
    channels: usize,
    side: usize,
}

struct Builder<'a> {
    state: &'a StateDict,
    prefix: &'static str,
    graph: Graph,
}

impl<'a> Builder<'a> {
    fn has(&self, name: &str) -> bool {
        self.state.contains_key(&format!("{}{name}", self.prefix))
    }

    fn tensor(&self, name: &str) -> Result<&'a StateTensor, ConvertError> {
        self.state.get(&format!("{}{name}", self.prefix)).ok_or_else(|| ConvertError::Tensor(name.to_owned()))
    }

    fn vector(&self, name: &str, length: usize) -> Result<&'a [f32], ConvertError> {
        let t = self.tensor(name)?;
        if t.values.len() == length { Ok(&t.values) } else { Err(ConvertError::Tensor(name.to_owned())) }
    }

    /// Scale and shift that a batch normalisation applies per channel.
    fn normalisation(&self, name: &str, channels: usize) -> Result<(Vec<f32>, Vec<f32>), ConvertError> {
        let gamma = self.vector(&format!("{name}.weight"), channels)?;
        let beta = self.vector(&format!("{name}.bias"), channels)?;
        let mean = self.vector(&format!("{name}.running_mean"), channels)?;
        let variance = self.vector(&format!("{name}.running_var"), channels)?;
        let scale: Vec<f32> = gamma.iter().zip(variance).map(|(g, v)| g / (v + EPSILON).sqrt()).collect();
        let shift = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Ok((scale, shift))
    }

    /// A convolution and the batch normalisation behind it.
    fn normalised(
        &mut self,
        x: &Value,
        weight: &str,
        bn: &str,
        stride: usize,
        pad: usize,
    ) -> Result<Value, ConvertError> {
        let w = self.tensor(weight)?;
        let bad = || ConvertError::Tensor(weight.to_owned());
        let [out, per_group, kh, kw] = w.shape[..] else { return Err(bad()) };
        let depthwise = per_group == 1 && x.channels > 1 && out == x.channels;
        if out == 0 || kh == 0 || kh != kw || (per_group != x.channels && !depthwise) {
            return Err(bad());
        }
        let (scale, shift) = self.normalisation(bn, out)?;
        let mut weights = w.values.clone();
        for (filter, s) in weights.chunks_mut(per_group * kh * kw).zip(&scale) {
            filter.iter_mut().for_each(|v| *v *= s);
        }
        let side = (x.side + 2 * pad).checked_sub(kh).ok_or_else(bad)? / stride + 1;
        let groups = if depthwise { out } else { 1 };
        let name =
            self.graph.conv(&x.name, [out, per_group, kh, kw], weights, shift, [stride; 2], [pad; 4], groups);
        Ok(Value { name, channels: out, side })
    }

    /// Convolution, normalisation, and the activation where the state dict has one.
    fn convolution(
        &mut self,
        x: &Value,
        name: &str,
        stride: usize,
        pad: usize,
    ) -> Result<Value, ConvertError> {
        let mut y = self.normalised(x, &format!("{name}.conv.weight"), &format!("{name}.bn"), stride, pad)?;
        let slope = format!("{name}.prelu.weight");
        if self.has(&slope) {
            let slope = self.vector(&slope, y.channels)?.to_vec();
            let slope = self.graph.floats(&[y.channels, 1, 1], slope);
            y.name = self.graph.node("PRelu", &[&y.name, &slope], Vec::new());
        }
        Ok(y)
    }

    fn bottleneck(&mut self, x: &Value, name: &str, stride: usize) -> Result<Value, ConvertError> {
        let y = self.convolution(x, &format!("{name}.conv"), 1, 0)?;
        let y = self.convolution(&y, &format!("{name}.conv_dw"), stride, 1)?;
        let mut y = self.convolution(&y, &format!("{name}.project"), 1, 0)?;
        let se = format!("{name}.se_module");
        if self.has(&format!("{se}.fc1.weight")) {
            let pooled = self.graph.node("GlobalAveragePool", &[&y.name], Vec::new());
            let pooled = Value { name: pooled, channels: y.channels, side: 1 };
            let mut z = self.normalised(&pooled, &format!("{se}.fc1.weight"), &format!("{se}.bn1"), 1, 0)?;
            z.name = self.graph.node("Relu", &[&z.name], Vec::new());
            let z = self.normalised(&z, &format!("{se}.fc2.weight"), &format!("{se}.bn2"), 1, 0)?;
            let gate = self.graph.node("Sigmoid", &[&z.name], Vec::new());
            y.name = self.graph.node("Mul", &[&y.name, &gate], Vec::new());
        }
        Ok(y)
    }

    /// The two dense layers with the normalisation between them folded in.
    fn head(&mut self, flat: &str, channels: usize) -> Result<(), ConvertError> {
        let bad = |name: &str| ConvertError::Tensor(name.to_owned());
        let linear = self.tensor("linear.weight")?;
        let [middle, inputs] = linear.shape[..] else { return Err(bad("linear.weight")) };
        let prob = self.tensor("prob.weight")?;
        let [classes, back] = prob.shape[..] else { return Err(bad("prob.weight")) };
        if inputs != channels || back != middle || classes == 0 || middle == 0 || inputs == 0 {
            return Err(bad("prob.weight"));
        }
        let (scale, shift) = self.normalisation("bn", middle)?;
        let mut first = vec![0.0; inputs * middle];
        for (row, (values, s)) in linear.values.chunks_exact(inputs).zip(&scale).enumerate() {
            for (column, v) in values.iter().enumerate() {
                first[column * middle + row] = v * s;
            }
        }
        let mut second = vec![0.0; middle * classes];
        for (row, values) in prob.values.chunks_exact(middle).enumerate() {
            for (column, v) in values.iter().enumerate() {
                second[column * classes + row] = *v;
            }
        }
        let w = self.graph.floats(&[inputs, middle], first);
        let b = self.graph.floats(&[middle], shift);
        let v = self.graph.floats(&[middle, classes], second);
        let x = self.graph.node("MatMul", &[flat, &w], Vec::new());
        let x = self.graph.node("Add", &[&x, &b], Vec::new());
        self.graph.named("MatMul", &[&x, &v], "logits", Vec::new());
        self.graph.output("logits", &[1, classes]);
        Ok(())
    }
}
