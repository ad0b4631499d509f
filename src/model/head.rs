//! The linear layer after global average pooling, whatever it is called.

use super::weights::Checkpoint;
use crate::analysis::Head;

/// More classes than this no classifier has; it bounds what a file can make us do.
const MAX_CLASSES: usize = 200_000;

/// Reads the linear layer at the end: any number of classes, but two at least. Gives what
/// the names of the whole classifier begin with, too: what else is there within it changes
/// what it computes.
pub fn read(checkpoint: &mut Checkpoint, own: &str, channels: usize) -> (Head, Option<String>) {
    let name = match find(checkpoint, own) {
        Ok(name) => name,
        Err(problem) => {
            checkpoint.complain(problem);
            let head = Head {
                weight: vec![0.0; 2 * channels],
                bias: vec![0.0; 2],
            };
            return (head, None);
        }
    };
    let end = name
        .rfind(|c: char| c != '.' && !c.is_ascii_digit())
        .map_or(name.len(), |end| end + 1);
    let part = format!("{}.", &name[..end]);
    let weight = format!("{name}.weight");
    let classes = checkpoint.shape(&weight).map_or(0, |shape| shape[0]);
    let classes = if (2..=MAX_CLASSES).contains(&classes) {
        classes
    } else {
        let name = weight.trim_start_matches('/').to_owned();
        checkpoint.complain(format!(
            "the number of classes in {name} is {classes}, and 2 to {MAX_CLASSES} are possible"
        ));
        2
    };
    let head = Head {
        weight: checkpoint.tensor(&weight, &[classes, channels]),
        bias: checkpoint.tensor(&format!("{name}.bias"), &[classes]),
    };
    (head, Some(part))
}

/// The linear layer at the end: the name of its tensors without `.weight`, or what
/// stands in the way.
fn find(checkpoint: &Checkpoint, own: &str) -> Result<String, String> {
    // `fc` in torchvision and timm; the others where people put their own.
    let names = [
        own,
        "fc",
        "classifier",
        "head.fc",
        "head",
        "linear",
        "last_linear",
    ];
    let mut prefixes = vec![checkpoint.prefix()];
    while let Some(shorter) = prefixes.last().and_then(|last| last.strip_suffix('.')) {
        prefixes.push(shorter.rfind('.').map_or("", |dot| &shorter[..=dot]));
    }
    for prefix in prefixes {
        for name in names {
            let whole = format!("/{prefix}{name}");
            let is_matrix = |tensor: &str| {
                checkpoint
                    .shape(&format!("/{tensor}"))
                    .is_some_and(|shape| shape.len() == 2)
            };
            if is_matrix(&format!("{prefix}{name}.weight")) {
                return Ok(whole);
            }
            // nn.Sequential(Dropout, Linear), as people build for fine-tuning.
            let start = format!("{prefix}{name}.");
            let inner: Vec<&str> = checkpoint
                .names_within(&start)
                .filter(|tensor| tensor.ends_with(".weight") && is_matrix(tensor))
                .collect();
            match inner[..] {
                [] => {}
                [only] => return Ok(format!("/{}", only.trim_end_matches(".weight"))),
                _ => {
                    return Err(format!(
                        "its classifier has {} linear layers ({}); camlens needs one after global average pooling",
                        inner.len(),
                        inner.join(", ")
                    ));
                }
            }
        }
    }
    Err(format!("{}{own}.weight is missing", checkpoint.prefix()))
}
