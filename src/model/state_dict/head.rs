//! Classifiers after global pooling: one linear layer, or several with batch norm and activations
//! between them, wherever they are in the file.
//!
//! A state dict does not show modules without tensors. The numbers of an `nn.Sequential` show
//! where they are. Which they are is assumed and said, or the file is refused.

use std::collections::BTreeMap;

use crate::model::graph::{Binary, GraphError, Op, ReduceKind, ValueId};
use crate::model::state_dict::{Layers, Role, SavedModule};

/// The most layers of a classifier.
const MOST_LAYERS: usize = 16;

/// A layer with tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    BatchNorm,
    LayerNorm,
}

/// A layer of the classifier: its path and its place in `nn.Sequential`s.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    path: String,
    /// The path without the numbers at its end.
    stem: String,
    numbers: Vec<usize>,
    kind: Kind,
}

/// How rows and columns become one, `[1, C, H, W]` to `[1, C]`. `paths` are those of the pooling
/// module: if the network was saved whole, it decides; else the mean is taken.
///
/// # Errors
/// If a saved module is another kind of pooling.
pub fn global_pool(
    layers: &mut Layers,
    name: &str,
    paths: &[&str],
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let mut saved = paths.iter().filter_map(|path| layers.saved(path));
    let Some(module) = saved.next() else {
        return layers.global_average_pool(name, x, false);
    };
    let reduce = |kind| Op::Reduce {
        kind,
        axes: vec![2, 3],
        keep_dims: false,
    };
    let kind = match module.class.as_str() {
        "AdaptiveMaxPool2d" if module.makes_one_cell() => "max",
        "SelectAdaptivePool2d" => module.text("pool_type").unwrap_or("avg"),
        _ if module.is_global_average() => "avg",
        // torchvision before 2019: exactly the cells of its usual input.
        "AvgPool2d" if module.windows()?.kernel == layers.shape(x)[2..] => "avg",
        "Identity" if layers.shape(x)[2..] == [1, 1] => "avg",
        class => {
            let path = &module.path;
            return Err(GraphError::new(format!(
                "{path} is {class} instead of global average pooling"
            )));
        }
    };
    match kind {
        "avg" | "fast" | "fastavg" => layers.global_average_pool(name, x, false),
        "max" | "fastmax" => layers.push(name, reduce(ReduceKind::Max), &[x]),
        "avgmax" | "fastavgmax" => {
            let mean = layers.global_average_pool(name, x, false)?;
            let max = layers.push(name, reduce(ReduceKind::Max), &[x])?;
            let sum = layers.add(name, mean, max)?;
            let half = layers.number(name, 0.5)?;
            layers.push(name, Op::Binary(Binary::Mul), &[sum, half])
        }
        other => Err(GraphError::new(format!(
            "{} is pooling of kind {other}",
            module.path
        ))),
    }
}

/// The classifier on features `[1, C]`, from all tensors that no layer has used yet. `inside`
/// are the starts of names that belong to the network itself: tensors left over there mean that
/// it is another network.
///
/// # Errors
/// If there is none, or if what the file holds does not say how to compute it.
pub fn classifier(
    layers: &mut Layers,
    features: ValueId,
    inside: &[String],
) -> Result<ValueId, GraphError> {
    let items = items(layers, inside)?;
    let Some(last) = items.iter().rposition(|item| item.kind == Kind::Linear) else {
        let channels = layers.shape(features)[1];
        return Err(GraphError::new(format!(
            "it has no classifier, a linear layer with {channels} inputs (num_classes=0, or only the backbone was saved)"
        )));
    };
    if last + 1 != items.len() {
        let path = &items[last + 1].path;
        return Err(GraphError::new(format!(
            "{path} comes after the classifier"
        )));
    }
    if let [only] = &items[..]
        && !layers.is_saved_whole()
    {
        return layers.linear(&only.path, features);
    }
    if layers.is_saved_whole() {
        return saved(layers, features, &items);
    }
    guessed(layers, features, &items)
}

/// All unused layers in the order of their numbers.
fn items(layers: &mut Layers, inside: &[String]) -> Result<Vec<Item>, GraphError> {
    let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tensor in layers.unused() {
        if inside.iter().any(|start| tensor.starts_with(&start[..])) {
            return Err(GraphError::new(format!(
                "{tensor} is not a tensor of {}",
                layers.described.name
            )));
        }
        let (module, part) = tensor.rsplit_once('.').unwrap_or(("", &tensor));
        let is_of_training = module.split('.').any(|word| {
            matches!(
                word,
                "criterion" | "loss" | "loss_fn" | "loss_func" | "loss_function"
            )
        });
        if is_of_training || matches!(part, "total_ops" | "total_params") {
            layers.ignore(&tensor);
            continue;
        }
        if matches!(part, "weight_g" | "weight_v") || tensor.contains(".parametrizations.") {
            return Err(GraphError::new(format!(
                "{module} is parametrized (weight normalization): remove it (torch.nn.utils.parametrize.remove_parametrizations) and save the model again"
            )));
        }
        let parts = parts.entry(module.to_owned()).or_default();
        parts.push(part.to_owned());
    }
    let mut items = Vec::new();
    for (path, parts) in parts {
        let rank = layers
            .tensor_shape(&format!("{path}.weight"))
            .map(|shape| shape.len());
        let has = |part: &str| parts.iter().any(|its| its == part);
        let kind = match rank {
            Ok(2) if parts.iter().all(|part| part == "weight" || part == "bias") => Kind::Linear,
            Ok(1) if has("running_mean") && has("running_var") && parts.len() == 4 => {
                Kind::BatchNorm
            }
            Ok(1) if has("bias") && parts.len() == 2 => Kind::LayerNorm,
            _ => {
                let tensor = format!("{path}.{}", parts[0]);
                let tensor = tensor.trim_start_matches('.');
                return Err(GraphError::new(format!(
                    "{tensor} is not a tensor of {} and its classifier",
                    layers.described.name
                )));
            }
        };
        let words: Vec<&str> = path.split('.').collect();
        let is_number = |word: &&&str| word.parse::<usize>().is_ok();
        let count = words.iter().rev().take_while(is_number).count();
        let (stem, numbers) = words.split_at(words.len() - count);
        items.push(Item {
            stem: stem.join("."),
            numbers: numbers
                .iter()
                .filter_map(|word| word.parse().ok())
                .collect(),
            path: path.clone(),
            kind,
        });
    }
    if items.len() > MOST_LAYERS {
        let (first, last) = (&items[0].path, &items[items.len() - 1].path);
        return Err(GraphError::new(format!(
            "{} layers are not of {} ({first} … {last})",
            items.len(),
            layers.described.name
        )));
    }
    items.sort_by(|a, b| (&a.stem, &a.numbers).cmp(&(&b.stem, &b.numbers)));
    Ok(items)
}

/// The layers with what the numbers between them show.
fn guessed(layers: &mut Layers, features: ValueId, items: &[Item]) -> Result<ValueId, GraphError> {
    let names = || {
        let paths: Vec<&str> = items.iter().map(|item| &item.path[..]).collect();
        paths.join(", ")
    };
    let advice = "save the model whole (torch.save(model, …)) or export it as ONNX";
    let chain = appended(items);
    let same = items.iter().all(|item| {
        item.stem == items[0].stem
            && item.numbers.len() == items[0].numbers.len()
            && !item.numbers.is_empty()
            && item.numbers[..item.numbers.len() - 1] == items[0].numbers[..item.numbers.len() - 1]
    });
    if !same && chain.is_none() {
        return Err(GraphError::new(format!(
            "its classifier has several layers ({}), and the file does not say in which order and with which activations between them: {advice}",
            names()
        )));
    }
    let ordered = chain.unwrap_or_else(|| items.to_vec());
    let mut x = features;
    let mut relus = Vec::new();
    let mut nothings = Vec::new();
    let mut seen_linear = false;
    for (at, item) in ordered.iter().enumerate() {
        if let Some(before) = at.checked_sub(1).map(|at| &ordered[at])
            && same
        {
            let last = item.numbers.len() - 1;
            let gap = item.numbers[last] - before.numbers[last] - 1;
            let between = format!("{} and {}", before.path, item.path);
            match (gap, seen_linear) {
                (0, _) => {}
                (1 | 2, true) => {
                    x = layers.relu(&format!("{}.relu", before.path), x)?;
                    relus.push(between);
                }
                (1, false) => nothings.push(between),
                _ => {
                    return Err(GraphError::new(format!(
                        "its classifier has {gap} layers without weights between {between}, and the file does not say which: {advice}"
                    )));
                }
            }
        }
        seen_linear |= item.kind == Kind::Linear;
        x = layer(layers, item, x)?;
    }
    if !relus.is_empty() {
        layers.described.assumed.push(format!(
            "The weights do not show the activations in the classifier. ReLU is assumed between {}.",
            relus.join(", ")
        ));
    }
    if !nothings.is_empty() {
        layers.described.assumed.push(format!(
            "The weights do not show the layer between {}. Dropout is assumed.",
            nothings.join(", ")
        ));
    }
    Ok(x)
}

/// `nn.Sequential(network, Linear)`: the network's own `fc`, and a linear layer whose number
/// follows that of the network, so that nothing is between them.
fn appended(items: &[Item]) -> Option<Vec<Item>> {
    let number = |path: &str| path.split('.').next()?.parse::<usize>().ok();
    let [a, b] = items else { return None };
    let (first, second) = if a.numbers.is_empty() { (a, b) } else { (b, a) };
    let linear = first.kind == Kind::Linear && second.kind == Kind::Linear;
    let inner = first.path.split('.').count() == 2;
    let outer = second.stem.is_empty() && second.numbers.len() == 1;
    let adjacent = number(&first.path)? + 1 == number(&second.path)?;
    (linear && inner && outer && adjacent).then(|| vec![first.clone(), second.clone()])
}

fn layer(layers: &mut Layers, item: &Item, x: ValueId) -> Result<ValueId, GraphError> {
    match item.kind {
        Kind::Linear => layers.linear(&item.path, x),
        Kind::BatchNorm => layers.batch_norm(&item.path, x, 1e-5),
        Kind::LayerNorm => layers.layer_norm(&item.path, x, 1e-5),
    }
}

/// The layers as the saved modules have them.
fn saved(layers: &mut Layers, features: ValueId, items: &[Item]) -> Result<ValueId, GraphError> {
    let modules = layers.saved_in_order();
    let class = |path: &str| {
        let mut found = modules.iter().filter(|module| module.path == path);
        found.next().map(|module| module.class.clone())
    };
    let parent = |path: &str| {
        path.rsplit_once('.')
            .map_or("", |(parent, _)| parent)
            .to_owned()
    };
    // The outermost nn.Sequential around the first layer that holds all of them and nothing else
    // with weights.
    let mut top = items[0].path.clone();
    loop {
        let outer = parent(&top);
        let holds_all = items.iter().all(|item| is_within(&item.path, &top));
        if holds_all && !(class(&outer).as_deref() == Some("Sequential") && !top.is_empty()) {
            break;
        }
        if class(&outer).as_deref() != Some("Sequential") {
            let paths: Vec<&str> = items.iter().map(|item| &item.path[..]).collect();
            return Err(GraphError::new(format!(
                "its classifier has several layers ({}) in a class of its own, whose forward method is not in the file: export it as ONNX",
                paths.join(", ")
            )));
        }
        if top == outer {
            break;
        }
        top = outer;
    }
    let mut x = features;
    for (at, module) in modules.iter().enumerate() {
        let is_parent = modules
            .get(at + 1)
            .is_some_and(|next| next.path != module.path && is_within(&next.path, &module.path));
        if is_parent || !is_within(&module.path, &top) || layers.was_visited(&module.path) {
            continue;
        }
        if let Some(item) = items.iter().find(|item| item.path == module.path) {
            x = layer(layers, item, x)?;
            continue;
        }
        x = plain(layers, module, x)?;
    }
    Ok(x)
}

/// A module without tensors.
fn plain(layers: &mut Layers, module: &SavedModule, x: ValueId) -> Result<ValueId, GraphError> {
    let path = &module.path;
    let _ = layers.saved(path);
    match module.role() {
        Role::Nothing | Role::Flatten | Role::Training | Role::Container => Ok(x),
        Role::Activation(unary) => layers.unary(path, unary, x),
        Role::Softmax { log } => {
            let axis = layers.shape(x).len() - 1;
            let softmax = if log {
                Op::LogSoftmax { axis }
            } else {
                Op::Softmax { axis }
            };
            layers.push(path, softmax, &[x])
        }
        Role::Pool if module.makes_one_cell() => Ok(x),
        Role::Pool | Role::Unknown => Err(GraphError::new(format!(
            "{path} is {}, which camlens does not know in a classifier",
            module.class
        ))),
    }
}

/// The maximum and the mean of each channel, one after the other: fastai's pooling.
///
/// # Errors
/// If `x` is not an image.
pub fn concat_pool(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let max = Op::Reduce {
        kind: ReduceKind::Max,
        axes: vec![2, 3],
        keep_dims: false,
    };
    let max = layers.push(&format!("{name}.mp"), max, &[x])?;
    let mean = layers.global_average_pool(&format!("{name}.ap"), x, false)?;
    layers.push(name, Op::Concat { axis: 1 }, &[max, mean])
}

/// Whether a path is equal to another one or lies within it.
fn is_within(path: &str, outer: &str) -> bool {
    match path.strip_prefix(outer) {
        Some(rest) => outer.is_empty() || rest.is_empty() || rest.starts_with('.'),
        None => false,
    }
}
