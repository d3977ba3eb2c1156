//! The trait behind which nets run, and its two back ends.

use crate::lanes::Lanes;
use rten_tensor::prelude::*;
use std::path::Path;
use std::sync::Arc;

/// Numbers in row-major order with their shape.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tensor {
    /// Size of each dimension, outermost first.
    pub shape: Vec<usize>,
    /// The values; as many as the product of `shape`.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor of `shape` holding `data`.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        Self { shape: shape.into(), data }
    }

    fn check(&self) -> Result<(), RunError> {
        let expected = self.shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        if expected == Some(self.data.len()) {
            Ok(())
        } else {
            Err(RunError::Shape { shape: self.shape.clone(), values: self.data.len() })
        }
    }
}

/// A loaded net. It may be run from many threads at once.
pub trait Net: Send + Sync {
    /// Runs the net on `inputs`, in the order in which the file declares them;
    /// returns its outputs in the file's order.
    ///
    /// # Errors
    /// [`RunError`] when the inputs do not fit or the runtime fails.
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError>;

    /// Runs the net and lends its first output to `read` where it lies: shape and values. For outputs of megabytes,
    /// which [`Net::run`] copies.
    ///
    /// # Errors
    /// As [`Net::run`].
    fn lend(&self, inputs: &[Tensor], read: &mut dyn FnMut(&[usize], &[f32])) -> Result<(), RunError> {
        if let Some(first) = self.run(inputs)?.first() {
            read(&first.shape, &first.data);
        }
        Ok(())
    }

    /// What the net runs on.
    fn runtime(&self) -> Runtime;
}

/// Why a net did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A tensor whose data does not fill its shape.
    #[error("a tensor of shape {shape:?} holds {values} values")]
    Shape {
        /// Its shape.
        shape: Vec<usize>,
        /// How many values it holds.
        values: usize,
    },
    /// Another number of inputs than the net has.
    #[error("the net takes {expected} inputs, {given} were given")]
    Inputs {
        /// How many the net takes.
        expected: usize,
        /// How many were given.
        given: usize,
    },
    /// An output that is not made of numbers.
    #[error("output {index} of the net is not made of numbers")]
    Output {
        /// Which.
        index: usize,
    },
    /// `rten` refused or failed.
    #[error("the net failed on rten")]
    Rten(#[source] rten::RunError),
    /// ONNX Runtime refused or failed.
    #[error("the net failed on ONNX Runtime")]
    Ort(#[source] Box<ort::Error>),
}

/// What nets run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// The pure Rust runtime that is compiled in.
    Rten,
    /// ONNX Runtime, loaded from the library in the models folder.
    Ort,
}

impl std::fmt::Display for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rten => "rten",
            Self::Ort => "ort",
        })
    }
}

/// A chosen back end, ready to load nets.
#[derive(Clone)]
pub(crate) enum Backend {
    /// Lanes of thread pools shared by all nets of one folder.
    Rten { pools: Arc<Lanes<Arc<rten::ThreadPool>>>, threads: usize },
    /// One environment per process; each net keeps its own lanes of sessions.
    Ort { environment: ort::environment::Environment, threads: usize, lanes: usize },
}

impl Backend {
    pub(crate) fn rten(threads: usize, lanes: usize) -> Self {
        let first = Arc::new(rten::ThreadPool::with_num_threads(threads));
        Self::Rten { pools: Arc::new(Lanes::new(first, lanes)), threads }
    }

    /// Opens ONNX Runtime from its library file. The caller has seen that [`crate::quiet::is_on`].
    ///
    /// # Errors
    /// A text saying why the library cannot be used.
    pub(crate) fn ort(library: &Path, threads: usize, lanes: usize) -> Result<Self, String> {
        let environment = ort::init_from(library)
            .map_err(|error| error.to_string())?
            .with_name("bonafide")
            .with_telemetry(false)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self::Ort { environment, threads, lanes })
    }

    pub(crate) fn runtime(&self) -> Runtime {
        match self {
            Self::Rten { .. } => Runtime::Rten,
            Self::Ort { .. } => Runtime::Ort,
        }
    }

    pub(crate) fn load(
        &self,
        onnx: Vec<u8>,
    ) -> Result<Arc<dyn Net>, Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::Rten { pools, threads } => {
                let model = rten::Model::load(onnx)?;
                Ok(Arc::new(RtenNet { model, pools: Arc::clone(pools), threads: *threads }))
            }
            Self::Ort { environment, threads, lanes } => {
                let onnx = Arc::new(onnx);
                let first = session(environment, &onnx, *threads)?;
                Ok(Arc::new(OrtNet {
                    inputs: first.inputs().len(),
                    sessions: Lanes::new(first, *lanes),
                    environment: environment.clone(),
                    onnx,
                    threads: *threads,
                }))
            }
        }
    }
}

struct RtenNet {
    model: rten::Model,
    pools: Arc<Lanes<Arc<rten::ThreadPool>>>,
    threads: usize,
}

impl Net for RtenNet {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        let ids = self.model.input_ids();
        if ids.len() != inputs.len() {
            return Err(RunError::Inputs { expected: ids.len(), given: inputs.len() });
        }
        let mut values = Vec::with_capacity(inputs.len());
        for (&id, input) in ids.iter().zip(inputs) {
            input.check()?;
            let view = rten_tensor::TensorView::from_data(input.shape.as_slice(), input.data.as_slice());
            values.push((id, view.into()));
        }
        let make = || Ok(Arc::new(rten::ThreadPool::with_num_threads(self.threads)));
        let outputs = self.pools.with(make, |pool| {
            let options = rten::RunOptions::default().with_thread_pool(Some(Arc::clone(pool)));
            self.model.run(values, self.model.output_ids(), Some(options)).map_err(RunError::Rten)
        })??;
        let convert = |(index, value)| match value {
            rten::Value::FloatTensor(t) => Ok(Tensor { shape: t.shape().to_vec(), data: t.into_data() }),
            rten::Value::Int32Tensor(t) => Ok(Tensor {
                shape: t.shape().to_vec(),
                data: t.to_vec().into_iter().map(|v| v as f32).collect(),
            }),
            _ => Err(RunError::Output { index }),
        };
        outputs.into_iter().enumerate().map(convert).collect()
    }

    fn runtime(&self) -> Runtime {
        Runtime::Rten
    }
}

struct OrtNet {
    sessions: Lanes<ort::session::Session>,
    inputs: usize,
    environment: ort::environment::Environment,
    onnx: Arc<Vec<u8>>,
    threads: usize,
}

fn session(
    environment: &ort::environment::Environment,
    onnx: &[u8],
    threads: usize,
) -> Result<ort::session::Session, ort::Error> {
    let mut builder =
        ort::session::Session::builder(environment)?.with_intra_threads(threads)?.with_inter_threads(1)?;
    builder.commit_from_memory(onnx)
}

impl OrtNet {
    fn outputs<T>(
        &self,
        inputs: &[Tensor],
        read: impl FnOnce(ort::session::SessionOutputs<'_>) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        if self.inputs != inputs.len() {
            return Err(RunError::Inputs { expected: self.inputs, given: inputs.len() });
        }
        let failed = |error: ort::Error| RunError::Ort(Box::new(error));
        let mut values = Vec::with_capacity(inputs.len());
        for input in inputs {
            input.check()?;
            let view = ort::value::TensorRef::from_array_view((input.shape.clone(), input.data.as_slice()));
            values.push(ort::session::SessionInputValue::from(view.map_err(failed)?));
        }
        let make = || session(&self.environment, &self.onnx, self.threads).map_err(failed);
        self.sessions.with(make, |session| read(session.run(values.as_slice()).map_err(failed)?))?
    }
}

impl Net for OrtNet {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.outputs(inputs, |outputs| {
            let convert = |(index, (_, value)): (usize, (&str, ort::value::ValueRef<'_>))| {
                if let Ok((shape, data)) = value.try_extract_tensor::<f32>() {
                    return Ok(tensor(shape, data.to_vec()));
                }
                let (shape, data) =
                    value.try_extract_tensor::<i64>().map_err(|_| RunError::Output { index })?;
                Ok(tensor(shape, data.iter().map(|&v| v as f32).collect()))
            };
            outputs.iter().enumerate().map(convert).collect()
        })
    }

    fn lend(&self, inputs: &[Tensor], read: &mut dyn FnMut(&[usize], &[f32])) -> Result<(), RunError> {
        self.outputs(inputs, |outputs| {
            if let Some((_, value)) = outputs.iter().next() {
                let (shape, data) =
                    value.try_extract_tensor::<f32>().map_err(|_| RunError::Output { index: 0 })?;
                read(&sizes(shape), data);
            }
            Ok(())
        })
    }

    fn runtime(&self) -> Runtime {
        Runtime::Ort
    }
}

fn tensor(shape: &ort::value::Shape, data: Vec<f32>) -> Tensor {
    Tensor { shape: sizes(shape), data }
}

fn sizes(shape: &ort::value::Shape) -> Vec<usize> {
    shape.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect()
}
