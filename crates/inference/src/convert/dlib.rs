//! Converts dlib's serialised face recognition ResNet to ONNX.
//!
//! Format (dlib `serialize.h`): an integer is one length byte (0x80 = negative)
//! and that many little-endian bytes; a text is an integer length and its
//! bytes; a tensor is version 2, four dimensions and raw little-endian f32.
//! Layers stand input-first, each beginning with its tag (`con_4`, `affine_`,
//! `fc_2`, …), so the tag sequence is the topology. Normalisation (minus mean,
//! divided by 256) and the affine layers are folded into the convolutions: the
//! net takes RGB 0..255, `[n, 3, 150, 150]`, and gives `[n, 128]`.

use super::onnx::{Attribute, Graph};
use super::{ConvertError, element_count, floats};

/// dlib's `input_rgb_image_sized` averages, in RGB order.
const MEAN: [f32; 3] = [122.782, 117.001, 104.298];
const SIDE: usize = 150;
/// Between two layer headers stand a few dozen small values; a tag further away means damage.
const TAG_WINDOW: usize = 4096;
const MAX_LAYERS: usize = 512;

/// Converts `dlib_face_recognition_resnet_model_v1.dat` to ONNX.
///
/// # Errors
/// [`ConvertError`] when the bytes are not such a net.
pub fn dlib_resnet(bytes: &[u8]) -> Result<Vec<u8>, ConvertError> {
    let mut reader = Reader { bytes, at: 0 };
    reader.seek_tag(&["input_rgb_image_sized"])?;
    let mut graph = Graph::default();
    graph.input("chip", &[0, 3, SIDE, SIDE]);
    let mut value = Value { name: "chip".to_owned(), channels: 3, side: SIDE };
    let mut first = true;
    // What a residual block began with, and the shortcut when it is pooled.
    let mut block_input: Option<Value> = None;
    let mut shortcut: Option<Value> = None;
    for _ in 0..MAX_LAYERS {
        let tag = reader.seek_tag(&[
            "con_4",
            "affine_",
            "relu_",
            "max_pool_2",
            "avg_pool_2",
            "add_prev_",
            "fc_2",
        ])?;
        match tag {
            "con_4" => {
                if block_input.is_none() && !first {
                    block_input = Some(value.clone());
                }
                let layer = reader.convolution(&value)?;
                reader.seek_tag(&["affine_"])?;
                let (gamma, beta) = reader.affine(layer.filters)?;
                value = emit_convolution(&mut graph, &value, layer, &gamma, &beta, first)?;
                first = false;
            }
            "relu_" => value.name = graph.node("Relu", &[&value.name], Vec::new()),
            "max_pool_2" => value = pool(&mut graph, "MaxPool", &value, 3)?,
            "avg_pool_2" => match block_input.take() {
                // Inside a block: the shortcut is pooled before it is added.
                Some(input) => shortcut = Some(pool(&mut graph, "AveragePool", &input, 2)?),
                // At the end: the average over all that is left.
                None => {
                    value.name = graph.node("GlobalAveragePool", &[&value.name], Vec::new());
                    value.side = 1;
                }
            },
            "add_prev_" => {
                let other = shortcut.take().or_else(|| block_input.take());
                block_input = None;
                let other = other.ok_or(ConvertError::Malformed("residual block without a beginning"))?;
                value = add(&mut graph, &value, &other);
            }
            "fc_2" => {
                let (inputs, outputs, weights) = reader.dense()?;
                if inputs != value.channels || value.side != 1 {
                    return Err(ConvertError::Tensor("fc_2".to_owned()));
                }
                let w = graph.floats(&[inputs, outputs], weights);
                let flat = graph.node("Flatten", &[&value.name], vec![("axis", Attribute::Int(1))]);
                graph.named("MatMul", &[&flat, &w], "embedding", Vec::new());
                graph.output("embedding", &[0, outputs]);
                return Ok(graph.encode("dlib_face_recognition_resnet"));
            }
            _ => return Err(ConvertError::Malformed("layer order")),
        }
    }
    Err(ConvertError::TooLarge {
        what: "layer count",
        found: MAX_LAYERS as u64 + 1,
        limit: MAX_LAYERS as u64,
    })
}

#[derive(Clone)]
struct Value {
    name: String,
    channels: usize,
    side: usize,
}

struct Convolution {
    filters: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

fn emit_convolution(
    graph: &mut Graph,
    x: &Value,
    mut layer: Convolution,
    gamma: &[f32],
    beta: &[f32],
    normalise: bool,
) -> Result<Value, ConvertError> {
    let per_filter = x.channels * layer.kernel * layer.kernel;
    let area = layer.kernel * layer.kernel;
    if normalise && (x.channels != MEAN.len() || layer.pad != 0) {
        // Folding the mean is exact only where no padding zero is read as a pixel.
        return Err(ConvertError::Malformed("first convolution"));
    }
    for ((filter, bias), (g, b)) in
        layer.weights.chunks_exact_mut(per_filter).zip(&mut layer.bias).zip(gamma.iter().zip(beta))
    {
        if normalise {
            for (plane, mean) in filter.chunks_exact_mut(area).zip(MEAN) {
                for w in plane.iter_mut() {
                    *w /= 256.0;
                    *bias -= *w * mean;
                }
            }
        }
        filter.iter_mut().for_each(|w| *w *= g);
        *bias = *bias * g + b;
    }
    let out =
        (x.side + 2 * layer.pad).checked_sub(layer.kernel).ok_or(ConvertError::Malformed("kernel size"))?
            / layer.stride
            + 1;
    let name = graph.conv(
        &x.name,
        [layer.filters, x.channels, layer.kernel, layer.kernel],
        layer.weights,
        layer.bias,
        [layer.stride; 2],
        [layer.pad; 4],
        1,
    );
    Ok(Value { name, channels: layer.filters, side: out })
}

fn pool(graph: &mut Graph, op: &'static str, x: &Value, kernel: usize) -> Result<Value, ConvertError> {
    let side = x.side.checked_sub(kernel).ok_or(ConvertError::Malformed("pool size"))? / 2 + 1;
    let attributes = vec![
        ("kernel_shape", Attribute::Ints(vec![kernel as i64; 2])),
        ("strides", Attribute::Ints(vec![2, 2])),
    ];
    Ok(Value { name: graph.node(op, &[&x.name], attributes), channels: x.channels, side })
}

/// dlib's `add_prev`: the smaller operand is padded with zeros at the end of channels, rows and columns.
fn add(graph: &mut Graph, a: &Value, b: &Value) -> Value {
    let channels = a.channels.max(b.channels);
    let side = a.side.max(b.side);
    let mut padded = |v: &Value| {
        if v.channels == channels && v.side == side {
            return v.name.clone();
        }
        let grow = (side - v.side) as i64;
        let pads = graph.ints(vec![0, 0, 0, 0, 0, (channels - v.channels) as i64, grow, grow]);
        graph.node("Pad", &[&v.name, &pads], Vec::new())
    };
    let (left, right) = (padded(a), padded(b));
    Value { name: graph.node("Add", &[&left, &right], Vec::new()), channels, side }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Moves behind the nearest of the given tags.
    fn seek_tag(&mut self, tags: &[&'static str]) -> Result<&'static str, ConvertError> {
        let window = self.bytes.get(self.at..).ok_or(ConvertError::Truncated("layer tag"))?;
        for offset in 0..window.len().min(TAG_WINDOW) {
            let Some(rest) = window.get(offset..) else { break };
            for tag in tags {
                if rest.first() == Some(&1)
                    && rest.get(1) == Some(&(tag.len() as u8))
                    && rest.get(2..2 + tag.len()) == Some(tag.as_bytes())
                {
                    self.at += offset + 2 + tag.len();
                    return Ok(tag);
                }
            }
        }
        Err(ConvertError::Truncated("layer tag"))
    }

    fn int(&mut self) -> Result<u64, ConvertError> {
        let head = *self.bytes.get(self.at).ok_or(ConvertError::Truncated("integer"))?;
        let length = usize::from(head);
        if !(1..=8).contains(&length) {
            return Err(ConvertError::Malformed("integer"));
        }
        let bytes =
            self.bytes.get(self.at + 1..self.at + 1 + length).ok_or(ConvertError::Truncated("integer"))?;
        self.at += 1 + length;
        Ok(bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }

    /// A small count or size, such as a kernel side.
    fn small(&mut self) -> Result<usize, ConvertError> {
        let value = self.int()?;
        if value > 4096 {
            return Err(ConvertError::TooLarge { what: "layer parameter", found: value, limit: 4096 });
        }
        Ok(value as usize)
    }

    fn tensor(&mut self) -> Result<Vec<f32>, ConvertError> {
        if self.int()? != 2 {
            return Err(ConvertError::Malformed("tensor version"));
        }
        let dims = [self.int()?, self.int()?, self.int()?, self.int()?];
        let length = element_count(dims)? * 4;
        let raw = self.bytes.get(self.at..self.at + length).ok_or(ConvertError::Truncated("tensor"))?;
        self.at += length;
        Ok(floats(raw))
    }

    fn convolution(&mut self, x: &Value) -> Result<Convolution, ConvertError> {
        let mut weights = self.tensor()?;
        let filters = self.small()?;
        let kernel = self.small()?;
        let columns = self.small()?;
        let stride = self.small()?;
        let stride_x = self.small()?;
        let pad = self.small()?;
        let pad_x = self.small()?;
        let square = kernel == columns && stride == stride_x && pad == pad_x && stride > 0 && kernel > 0;
        let expected = filters * x.channels * kernel * kernel;
        if !square || filters == 0 || weights.len() != expected + filters {
            return Err(ConvertError::Tensor("con_4".to_owned()));
        }
        let bias = weights.split_off(expected);
        Ok(Convolution { filters, kernel, stride, pad, weights, bias })
    }

    fn affine(&mut self, channels: usize) -> Result<(Vec<f32>, Vec<f32>), ConvertError> {
        let mut gamma = self.tensor()?;
        if gamma.len() != 2 * channels {
            return Err(ConvertError::Tensor("affine_".to_owned()));
        }
        let beta = gamma.split_off(channels);
        Ok((gamma, beta))
    }

    /// A dense layer without bias: number of outputs, inputs, then weights `[inputs, outputs]`.
    fn dense(&mut self) -> Result<(usize, usize, Vec<f32>), ConvertError> {
        let outputs = self.small()?;
        let inputs = self.small()?;
        let weights = self.tensor()?;
        if outputs == 0 || weights.len() != inputs * outputs {
            return Err(ConvertError::Tensor("fc_2".to_owned()));
        }
        Ok((inputs, outputs, weights))
    }
}
