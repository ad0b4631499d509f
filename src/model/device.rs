//! Devices: which can be chosen, which can be used, and why others can't.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;
use serde::{Deserialize, Serialize, Serializer};

use crate::model::network::NetworkError;
use crate::platform::panics;

/// The user's choice of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceChoice {
    /// The first usable device of CUDA, Metal, CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, by its number.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
}

impl DeviceChoice {
    /// The spelling on the command line; [`DeviceChoice::from_str`] reads it.
    #[must_use]
    pub fn option(self) -> String {
        match self {
            Self::Auto => "auto".into(),
            Self::Cpu => "cpu".into(),
            Self::Cuda(ordinal) => format!("cuda:{ordinal}"),
            Self::Metal => "metal".into(),
        }
    }
}

/// Serializes a device as it is written on the command line.
///
/// # Errors
/// If the serializer fails.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes fields by reference
pub fn as_option<S: Serializer>(device: &DeviceChoice, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&device.option())
}

/// Serializes a device as shown on screen: "CPU", "CUDA 0", "Metal".
pub mod as_shown {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::DeviceChoice;

    /// Writes the text.
    ///
    /// # Errors
    /// If the serializer fails.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde passes fields by reference
    pub fn serialize<S: Serializer>(
        device: &DeviceChoice,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(device)
    }

    /// Reads the text back.
    ///
    /// # Errors
    /// If the deserializer fails or the text is not a device.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DeviceChoice, D::Error> {
        let text = String::deserialize(deserializer)?;
        let option = text.to_lowercase().replace(' ', ":");
        option.parse().map_err(|error| {
            let start: String = text.chars().take(40).collect();
            D::Error::custom(format!("device {start:?}: {error}"))
        })
    }
}

/// A device that can't be used, with the reason.
#[derive(Debug, thiserror::Error)]
#[error("{device} can't be used: {reason}")]
pub struct DeviceError {
    /// The device.
    pub device: DeviceChoice,
    /// The reason, and what to do.
    pub reason: String,
}

/// A device that can be chosen, and whether it can be used.
#[derive(Clone, Debug)]
pub struct DeviceStatus {
    /// The device.
    pub choice: DeviceChoice,
    /// The reason if it can't be used.
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
                    "{number:?} is not the number of a GPU: use cuda:0, cuda:1, …"
                )),
            },
            _ => Err("use auto, cpu, cuda, cuda:N or metal".into()),
        }
    }
}

/// Every kind of device with its state, which is found by trying it. All usable CUDA GPUs are
/// listed.
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

/// Opens a device; `Auto` takes the first usable one, which is the CPU if there is no other.
///
/// # Errors
/// [`DeviceError`] if the chosen device can't be used.
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
                "this build does not include CUDA (README.md describes how to build with it)."
                    .into(),
            ));
        }
        DeviceChoice::Metal if !cfg!(feature = "metal") => {
            return Err(failed(if cfg!(target_os = "macos") {
                "this build does not include Metal (build with --features metal).".into()
            } else {
                "Metal exists on Apple computers only.".into()
            }));
        }
        DeviceChoice::Cuda(ordinal) => caught(|| Ok(Device::new_cuda(ordinal)?))
            .map_err(|error| failed(format!("the driver says: {error}")))?,
        DeviceChoice::Metal => caught(|| Ok(Device::new_metal(0)?))
            .map_err(|error| failed(format!("the system says: {error}")))?,
    };
    Ok((device, choice))
}

/// Runs work on a GPU. candle's bindings panic if a library is missing or the driver has failed;
/// such a panic is returned as an error.
///
/// # Errors
/// The error of the function, or the message of its panic.
pub fn caught<T>(work: impl FnOnce() -> Result<T, NetworkError>) -> Result<T, NetworkError> {
    panics::caught(work).unwrap_or_else(|said| Err(NetworkError::new(said)))
}

impl From<candle_core::Error> for NetworkError {
    fn from(error: candle_core::Error) -> Self {
        Self::new(error.to_string())
    }
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
            assert_eq!(choice.option().parse(), Ok(choice));
        }
        for text in ["", "gpu", "cuda:x", "cpu:0"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }

    /// The text in manifests, which older versions also write and read.
    #[test]
    fn a_manifest_holds_the_name_that_is_shown() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Entry(#[serde(with = "as_shown")] DeviceChoice);
        for (text, choice) in [
            ("\"CPU\"", DeviceChoice::Cpu),
            ("\"CUDA 0\"", DeviceChoice::Cuda(0)),
            ("\"CUDA 12\"", DeviceChoice::Cuda(12)),
            ("\"Metal\"", DeviceChoice::Metal),
        ] {
            assert_eq!(serde_json::to_string(&Entry(choice)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Entry>(text).unwrap(), Entry(choice));
        }
        let error = serde_json::from_str::<Entry>("\"TPU 0\"").unwrap_err();
        assert!(error.to_string().contains("TPU 0"), "{error}");
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

    /// A machine with the given number of usable GPUs.
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
