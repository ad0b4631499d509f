//! Convolutions and pooling.

use crate::model::graph::{Conv, Op, Pool, ReduceKind};
use crate::model::onnx::array::Value;
use crate::model::onnx::lower::{Call, Lower};

/// The geometry of windows over the last axes, from the attributes.
struct Windows {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    /// First all before, then all after.
    pads: Vec<usize>,
}

/// Sizes from an attribute, or a value for each axis.
fn sizes(call: &Call<'_>, name: &str, axes: usize, default: usize) -> Result<Vec<usize>, String> {
    let Some(given) = call.node.ints(name).filter(|given| !given.is_empty()) else {
        return Ok(vec![default; axes]);
    };
    let sizes: Option<Vec<usize>> = given
        .iter()
        .map(|size| usize::try_from(*size).ok().filter(|size| *size <= 1 << 20))
        .collect();
    match sizes {
        Some(sizes) if sizes.len() == axes => Ok(sizes),
        Some(_) => Err(format!("its {name} {given:?} do not fit")),
        None => Err(format!("its {name} {given:?} are not supported")),
    }
}

fn windows(
    call: &Call<'_>,
    sides: &[usize],
    kernel: Option<&[usize]>,
    ceil: bool,
) -> Result<Windows, String> {
    let axes = sides.len();
    let kernel = match kernel {
        Some(kernel) => {
            if sizes(call, "kernel_shape", axes, 0)?
                .iter()
                .zip(kernel)
                .any(|(stated, own)| *stated != 0 && stated != own)
            {
                return Err("its kernel_shape is not that of its weight".into());
            }
            kernel.to_vec()
        }
        None => sizes(call, "kernel_shape", axes, 0)?,
    };
    if kernel.contains(&0) {
        return Err("its kernel has no size".into());
    }
    let strides = sizes(call, "strides", axes, 1)?;
    let dilations = sizes(call, "dilations", axes, 1)?;
    if strides.contains(&0) || dilations.contains(&0) {
        return Err("its stride or dilation is 0".into());
    }
    let pads = match call.node.string("auto_pad").unwrap_or("NOTSET") {
        "NOTSET" | "" => sizes(call, "pads", 2 * axes, 0)?,
        "VALID" => vec![0; 2 * axes],
        place @ ("SAME_UPPER" | "SAME_LOWER") => {
            let mut pads = vec![0; 2 * axes];
            for axis in 0..axes {
                let reach = (kernel[axis] - 1) * dilations[axis] + 1;
                let positions = if ceil {
                    sides[axis].saturating_sub(1) / strides[axis] + 1
                } else {
                    sides[axis].div_ceil(strides[axis])
                };
                let needed = positions.saturating_sub(1) * strides[axis] + reach;
                let zeros = needed.saturating_sub(sides[axis]);
                let (less, more) = (zeros / 2, zeros - zeros / 2);
                (pads[axis], pads[axis + axes]) = match place {
                    "SAME_UPPER" => (less, more),
                    _ => (more, less),
                };
            }
            pads
        }
        other => return Err(format!("its auto_pad {other:?} is unknown")),
    };
    Ok(Windows {
        kernel,
        strides,
        dilations,
        pads,
    })
}

/// Two axes from one: the first is of length 1.
fn two<const N: usize>(values: &[usize], filler: usize) -> Result<[usize; N], String> {
    let both: Vec<usize> = match (values.len(), N) {
        (1, 2) => vec![filler, values[0]],
        (2, 4) => vec![filler, values[0], filler, values[1]],
        _ => values.to_vec(),
    };
    <[usize; N]>::try_from(both).map_err(|_| "it has too many axes".into())
}

/// `[N, C, L]` → `[N, C, 1, L]`.
fn widened(shape: &[usize]) -> Vec<usize> {
    vec![shape[0], shape[1], 1, shape[2]]
}

/// Whether the windows run over two axes; one is widened, three are refused.
fn spatial(shape: &[usize]) -> Result<bool, String> {
    match shape.len() {
        3 => Ok(false),
        4 => Ok(true),
        5 => Err("it works on three axes (3-D), but camlens explains photos".into()),
        _ => Err(format!("its input {shape:?} is not an image")),
    }
}

impl Lower<'_> {
    pub(super) fn conv(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let mut x = call.input(0)?;
        let weight = call
            .known(1)
            .map_err(|_| "its weight depends on the photo (dynamic convolution)")?
            .ok_or("it has no weight")?
            .clone();
        let shape = self.shape(&x).to_vec();
        let flat = !spatial(&shape)?;
        if weight.shape.len() != shape.len() {
            return Err(format!("its weight {:?} does not fit", weight.shape));
        }
        let windows = windows(call, &shape[2..], Some(&weight.shape[2..]), false)?;
        let conv = Conv {
            strides: two(&windows.strides, 1)?,
            pads: two(&windows.pads, 0)?,
            dilations: two(&windows.dilations, 1)?,
            groups: usize::try_from(call.node.int("group").unwrap_or(1))
                .map_err(|_| "its groups are not supported")?,
        };
        let wide = widened_if(flat, &weight.shape);
        let weight = self.reshape(&call.part("weight"), Value::Constant(weight), &wide)?;
        x = self.reshape(&call.part("wide"), x, &widened_if(flat, &shape))?;
        let mut inputs = vec![x, weight];
        let mut dynamic_bias = None;
        match call.optional(2) {
            Some(bias @ Value::Constant(_)) => inputs.push(bias.clone()),
            Some(bias) => dynamic_bias = Some(bias.clone()),
            None => {}
        }
        let name = if flat || dynamic_bias.is_some() {
            call.part("conv")
        } else {
            call.name.to_owned()
        };
        let mut y = self.emit(&name, Op::Conv(conv), &inputs)?;
        if let Some(bias) = dynamic_bias {
            let channels = self.shape(&bias).iter().product();
            let bias = self.reshape(&call.part("bias"), bias, &[1, channels, 1, 1])?;
            let add = Op::Binary(crate::model::graph::Binary::Add);
            y = self.emit(&call.part("sum"), add, &[y, bias])?;
        }
        self.narrowed(call, y, flat)
    }

    /// Takes the axis of length 1 away again.
    fn narrowed(&mut self, call: &Call<'_>, y: Value, flat: bool) -> Result<Value, String> {
        if !flat {
            return Ok(y);
        }
        let shape = self.shape(&y).to_vec();
        self.reshape(call.name, y, &[shape[0], shape[1], shape[3]])
    }

    pub(super) fn pool(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let flat = !spatial(&shape)?;
        let ceil = call.node.int("ceil_mode") == Some(1);
        let windows = windows(call, &shape[2..], None, ceil)?;
        let pool = Pool {
            kernel: two(&windows.kernel, 1)?,
            strides: two(&windows.strides, 1)?,
            pads: two(&windows.pads, 0)?,
            dilations: two(&windows.dilations, 1)?,
            ceil_mode: ceil,
        };
        let op = match call.node.op.as_str() {
            "MaxPool" => Op::MaxPool(pool),
            "AveragePool" => Op::AveragePool {
                pool,
                count_include_pad: call.node.int("count_include_pad") == Some(1),
            },
            _ => return Err("it is not supported".into()),
        };
        for axis in 0..2 {
            let reach = (pool.kernel[axis] - 1) * pool.dilations[axis] + 1;
            if pool.pads[axis].max(pool.pads[axis + 2]) >= reach {
                return Err("its padding is as large as its windows".into());
            }
        }
        let x = self.reshape(&call.part("wide"), x, &widened_if(flat, &shape))?;
        let name = if flat {
            call.part("pool")
        } else {
            call.name.to_owned()
        };
        let y = self.emit(&name, op, &[x])?;
        self.narrowed(call, y, flat)
    }

    pub(super) fn global_pool(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let rank = self.shape(&x).len();
        if rank < 3 {
            return Err("its input is not an image".into());
        }
        let op = Op::Reduce {
            kind: match call.node.op.as_str() {
                "GlobalMaxPool" => ReduceKind::Max,
                _ => ReduceKind::Mean,
            },
            axes: (2..rank).collect(),
            keep_dims: true,
        };
        self.emit(call.name, op, &[x])
    }
}

fn widened_if(flat: bool, shape: &[usize]) -> Vec<usize> {
    if flat { widened(shape) } else { shape.to_vec() }
}
