//! Loads the model for a choice.

use std::path::Path;

use crate::explain::engine::EngineError;
use crate::model::known_weights::ResNet18Files;
use crate::model::layers::Backend;
use crate::model::weights::Progress;
use crate::model::{Architecture, Model, ModelChoice, ModelError, hub, known_weights};
use crate::text::printable;

/// The options for loading a model.
#[derive(Clone)]
pub struct Loading<'a> {
    /// A file of class names given by the user.
    pub labels: Option<&'a Path>,
    pub backend: Backend,
    pub progress: Option<Progress>,
}

impl Loading<'_> {
    fn built_in(&self) -> Result<Model, EngineError> {
        Ok(Model::built_in(self.labels, self.backend.clone())?)
    }

    fn file(&self, path: &Path) -> Result<Model, ModelError> {
        let (backend, progress) = (self.backend.clone(), self.progress.clone());
        Model::open(path, self.labels, backend, progress)
    }
}

/// Loads a model. If another model was loaded instead, `notices` says which and why.
pub fn load(
    choice: &ModelChoice,
    loading: &Loading,
    notices: &mut Vec<String>,
) -> Result<Model, EngineError> {
    match choice {
        ModelChoice::BuiltIn => loading.built_in(),
        ModelChoice::File(path) => Ok(loading.file(path)?),
        ModelChoice::Within(path, selection) => {
            let (labels, backend) = (loading.labels, loading.backend.clone());
            let progress = loading.progress.clone();
            Ok(Model::open_within(
                path, selection, labels, backend, progress,
            )?)
        }
        ModelChoice::ResNet18 => resnet18(&known_weights::find_resnet18(), loading, notices),
        ModelChoice::Hub(name) => {
            let found = hub::find(name).and_then(hub::HubModel::cached);
            let path = found.ok_or_else(|| EngineError::NotFetched(name.clone()))?;
            Ok(loading.file(&path)?)
        }
        ModelChoice::Auto => automatic(known_weights::find_resnet18(), loading, notices),
    }
}

/// Whether the publisher of a model reports its accuracy.
fn is_known(model: &Model) -> bool {
    known_weights::reported_accuracy(&model.info.sha256, model.path()).is_some()
}

/// ResNet-18 if a known file of it is found, otherwise the built-in model. Notices list other
/// candidates, and say why a known file was not used.
fn automatic(
    mut files: ResNet18Files,
    loading: &Loading,
    notices: &mut Vec<String>,
) -> Result<Model, EngineError> {
    let built_in = Architecture::EfficientNetLite0.name();
    let mut refused = Vec::new();
    for path in &files.likely {
        match loading.file(path) {
            Ok(model) if is_known(&model) => return Ok(model),
            Ok(_) => files.others.push(path.clone()),
            Err(error @ (ModelError::Weights(_) | ModelError::Damaged { .. })) => {
                refused.push(format!("{error} Running the built-in {built_in} instead."));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let model = loading.built_in()?;
    notices.append(&mut refused);
    if !files.others.is_empty() {
        let paths = files.others.iter().map(|path| path.display().to_string());
        notices.push(format!(
            "Found, but not used automatically, because it is not a file that camlens knows: {}. Open it from the model menu or with --model.",
            printable::names(paths)
        ));
    }
    Ok(model)
}

/// ResNet-18, as requested: a known file if one is found, otherwise the first file with its name,
/// with a notice.
fn resnet18(
    files: &ResNet18Files,
    loading: &Loading,
    notices: &mut Vec<String>,
) -> Result<Model, EngineError> {
    let mut refused = None;
    let mut unknown = None;
    for path in &files.likely {
        match loading.file(path) {
            Ok(model) if is_known(&model) => return Ok(model),
            Ok(model) => unknown = unknown.or(Some(model)),
            Err(error @ (ModelError::Weights(_) | ModelError::Damaged { .. })) => {
                refused = refused.or(Some(error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let model = match (unknown, files.others.first(), refused) {
        (Some(model), _, _) => model,
        (None, Some(path), _) => loading.file(path)?,
        (None, None, Some(error)) => return Err(error.into()),
        (None, None, None) => return Err(EngineError::NoResNet18),
    };
    notices.push(format!(
        "Taken as ResNet-18 by its name: {}. It is not one of the files that camlens knows.",
        printable::quotation(&model.info.origin)
    ));
    Ok(model)
}
