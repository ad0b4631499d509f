//! Devices: what can be asked for, what is there, and why not.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;
use serde::{Deserialize, Serialize};

use crate::platform::panics;

/// A device as the user asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceChoice {
    /// The first usable of CUDA, Metal, CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, by its number.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
}

/// A device that can't be used, and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{device} can't be used: {reason}")]
pub struct DeviceError {
    /// The device.
    pub device: DeviceChoice,
    /// Why, and what to do.
    pub reason: String,
}

/// A device that can be asked for, and whether it can be used.
#[derive(Clone, Debug)]
pub struct DeviceStatus {
    /// The device.
    pub choice: DeviceChoice,
    /// The reason why not, if so.
    pub unusable: Option<String>,
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "Automatic"),
            Self::Cpu => write!(f, "CPU"),
            Self::Cuda(ordinal) => write!(f, "CUDA {ordinal}"),
            Self::Metal => write!(f, "Metal"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            None if text == "metal" => Ok(Self::Metal),
            Some(("cuda", number)) => match number.parse() {
                Ok(ordinal) => Ok(Self::Cuda(ordinal)),
                Err(_) => Err(format!(
                    "{number:?} is not the number of a GPU: give cuda:0, cuda:1, …"
                )),
            },
            _ => Err("give auto, cpu, cuda, cuda:N or metal".into()),
        }
    }
}

/// Every kind of device with its state, found by trying it. The first CUDA GPUs
/// are listed one by one.
#[must_use]
pub fn list() -> Vec<DeviceStatus> {
    list_by(|choice| DeviceStatus {
        choice,
        unusable: open(choice).err().map(|error| error.reason),
    })
}

fn list_by(status: impl Fn(DeviceChoice) -> DeviceStatus) -> Vec<DeviceStatus> {
    let mut devices = vec![status(DeviceChoice::Cpu), status(DeviceChoice::Cuda(0))];
    for ordinal in 1..16 {
        let further = status(DeviceChoice::Cuda(ordinal));
        if further.unusable.is_some() {
            break;
        }
        devices.push(further);
    }
    devices.push(status(DeviceChoice::Metal));
    devices
}

/// Opens a device; `Auto` takes the first that works and always finds the CPU.
///
/// # Errors
/// [`DeviceError`] if that very device can't be used.
pub fn open(choice: DeviceChoice) -> Result<(Device, DeviceChoice), DeviceError> {
    let failed = |reason: String| DeviceError {
        device: choice,
        reason,
    };
    let device = match choice {
        DeviceChoice::Auto => {
            return Ok([DeviceChoice::Cuda(0), DeviceChoice::Metal]
                .into_iter()
                .find_map(|candidate| open(candidate).ok())
                .unwrap_or((Device::Cpu, DeviceChoice::Cpu)));
        }
        DeviceChoice::Cpu => Device::Cpu,
        DeviceChoice::Cuda(_) if !cfg!(feature = "cuda") => {
            return Err(failed(
                "this build has no CUDA in it (README.md says how to build one).".into(),
            ));
        }
        DeviceChoice::Metal if !cfg!(feature = "metal") => {
            return Err(failed(if cfg!(target_os = "macos") {
                "this build has no Metal in it (build with --features metal).".into()
            } else {
                "Metal exists on Apple computers only.".into()
            }));
        }
        DeviceChoice::Cuda(ordinal) => caught(|| Device::new_cuda(ordinal))
            .map_err(|error| failed(format!("the driver says: {}", first_line(&error))))?,
        DeviceChoice::Metal => caught(|| Device::new_metal(0))
            .map_err(|error| failed(format!("the system says: {}", first_line(&error))))?,
    };
    Ok((device, choice))
}

/// Work on a GPU, whose bindings panic where a library is missing or the driver has died:
/// an error like any other.
///
/// # Errors
/// candle's, or what the panic said.
pub fn caught<T>(work: impl FnOnce() -> candle_core::Result<T>) -> candle_core::Result<T> {
    panics::caught(work).unwrap_or_else(|said| Err(candle_core::Error::msg(said)))
}

/// The first line of an error: candle appends a backtrace.
#[must_use]
pub fn first_line(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda(0)),
            ("cuda:3", DeviceChoice::Cuda(3)),
            ("metal", DeviceChoice::Metal),
        ] {
            assert_eq!(text.parse(), Ok(choice));
        }
        for text in ["", "gpu", "cuda:x", "cpu:0"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_cpu_is_always_there_and_the_rest_gives_a_reason() {
        let devices = list();
        let choices: Vec<DeviceChoice> = devices.iter().map(|status| status.choice).collect();
        assert_eq!(choices[..2], [DeviceChoice::Cpu, DeviceChoice::Cuda(0)]);
        assert!(devices[0].unusable.is_none());
        // Further GPUs are listed only if they can be used, however many there are.
        let (last, further) = devices[2..].split_last().unwrap();
        for (status, ordinal) in further.iter().zip(1..) {
            assert_eq!(status.choice, DeviceChoice::Cuda(ordinal));
            assert!(status.unusable.is_none(), "{status:?}");
        }
        assert_eq!(last.choice, DeviceChoice::Metal);
        let metal = last.unusable.as_deref();
        assert!(cfg!(feature = "metal") || metal.is_some_and(|reason| reason.contains("Metal")));
    }

    /// A machine with GPUs that work, as many as given.
    fn machine(gpus: usize) -> impl Fn(DeviceChoice) -> DeviceStatus {
        move |choice| DeviceStatus {
            choice,
            unusable: match choice {
                DeviceChoice::Cpu => None,
                DeviceChoice::Cuda(ordinal) if ordinal < gpus => None,
                _ => Some("not there".into()),
            },
        }
    }

    #[test]
    fn every_gpu_is_listed() {
        for (gpus, listed) in [(0, 1), (1, 1), (2, 2), (8, 8), (40, 16)] {
            let devices = list_by(machine(gpus));
            let cuda = devices
                .iter()
                .filter(|status| matches!(status.choice, DeviceChoice::Cuda(_)));
            assert_eq!(
                (cuda.count(), devices.len()),
                (listed, listed + 2),
                "{gpus}"
            );
        }
    }
}
