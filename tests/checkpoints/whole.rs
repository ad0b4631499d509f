//! Modules saved whole (`torch.save(model)`): the file describes its network, and a network that
//! differs from the standard one is rejected.

use super::modules::*;
use super::torch_save::{Module, Py, pair, pickle, sequential, torch_save};
use super::*;
use camlens::model::weights::Checkpoint;

/// Saves a module. All its tensors are views of one storage.
fn save(path: &Path, module: Module) {
    save_value(path, &Py::Module(module));
}

fn save_value(path: &Path, value: &Py) {
    let storage: Vec<u8> = (0..512 * 512 * 9u32)
        .flat_map(|i| (0.01 + (i % 97) as f32 * 1e-5).to_le_bytes())
        .collect();
    let pickle = pickle(value);
    torch_save(path, "whole", &pickle, &[("0", &storage)]);
}

type Edit<'a> = &'a dyn Fn(&mut Module);

#[test]
#[allow(clippy::too_many_lines)] // a table
fn standard_networks_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.pth");
    let cases: [(&str, Edit, &str); 18] = [
        ("torchvision's", &|_| (), ""),
        (
            "timm's names",
            &|net| {
                net.for_all(&|module| {
                    for (name, _) in &mut module.modules {
                        match name.as_str() {
                            "relu" => *name = "act1".into(),
                            "avgpool" => *name = "global_pool".into(),
                            _ => {}
                        }
                    }
                });
                net.put("global_pool", timms_pool("avg"));
                let block = net.at("layer1.0");
                block.put("drop_block", identity());
                block.put("aa", identity());
                block.put("act2", relu());
            },
            "",
        ),
        (
            "a script's class that calls functions",
            &|net| {
                net.for_all(&|module| {
                    let has_weights = |name: &str| !["relu", "maxpool", "avgpool"].contains(&name);
                    module.modules.retain(|(name, _)| has_weights(name));
                    module.class = module
                        .class
                        .replace("torchvision.models.resnet", "__main__");
                });
            },
            "",
        ),
        (
            "DataParallel",
            &|net| {
                let class = "torch.nn.parallel.data_parallel.DataParallel";
                *net = wrapped(class, "module", net.clone());
            },
            "",
        ),
        (
            "torch.compile",
            &|net| {
                let class = "torch._dynamo.eval_frame.OptimizedModule";
                *net = wrapped(class, "_orig_mod", net.clone());
            },
            "",
        ),
        (
            "AveragedModel",
            &|net| {
                let class = "torch.optim.swa_utils.AveragedModel";
                *net = wrapped(class, "module", net.clone());
            },
            "",
        ),
        (
            "dropout before the linear layer",
            &|net| net.put("fc", sequential([dropout(), linear(512, 3)])),
            "",
        ),
        (
            "log-softmax after it",
            &|net| net.put("fc", sequential([linear(512, 3), activation("LogSoftmax")])),
            "",
        ),
        (
            "a ReLU of averages that are not negative",
            &|net| net.put("fc", sequential([relu(), linear(512, 3)])),
            "",
        ),
        (
            "dropout in a layer",
            &|net| net.at("layer4.1").put("dropout", dropout()),
            "",
        ),
        (
            "stubs for quantization",
            &|net| {
                net.put("quant", plain("torch.ao.quantization.stubs.QuantStub"));
                let class = "torch.ao.nn.quantized.modules.functional_modules.FloatFunctional";
                let add = wrapped(class, "activation_post_process", identity());
                net.at("layer2.1").put("add_relu", add);
            },
            "",
        ),
        (
            "torchvision's pool of 2018",
            &|net| {
                let pool = plain("torch.nn.modules.pooling.AvgPool2d")
                    .with("kernel_size", 7)
                    .with("stride", 1)
                    .with("padding", 0);
                net.put("avgpool", pool);
            },
            "",
        ),
        (
            "the padding called same",
            &|net| net.at("layer1.0.conv1").set("padding", "same"),
            "",
        ),
        (
            "synchronized batch-norm",
            &|net| net.at("bn1").class = "torch.nn.modules.batchnorm.SyncBatchNorm".into(),
            "",
        ),
        (
            "a training script's module with its loss",
            &|net| {
                let mut outer = wrapped("__main__.Lesions", "backbone", net.clone());
                outer.put("loss", plain("torch.nn.modules.loss.CrossEntropyLoss"));
                outer.put("accuracy", plain("torchmetrics.classification.Accuracy"));
                outer.put(
                    "focal",
                    wrapped("losses.FocalLoss", "s", activation("Sigmoid")),
                );
                *net = outer;
            },
            "",
        ),
        (
            "a pool under another name",
            &|net| net.put("pool1", max_pool()),
            "",
        ),
        (
            "something that nobody knows",
            &|net| {
                let mut outer = wrapped("__main__.Lesions", "net", net.clone());
                outer.put("normalize", plain("__main__.Normalize"));
                *net = outer;
            },
            "normalize (Normalize), which camlens does not run",
        ),
        (
            "hooks",
            &|net| {
                let hook = Py::Dict(vec![(Py::Int(0), Py::None)]);
                net.at("layer4").set("_forward_pre_hooks", hook);
            },
            "hooks (layer4)",
        ),
    ];
    for (what, edit, notice) in cases {
        let mut module = resnet18_module();
        edit(&mut module);
        save(&path, module);
        let engine = open(&path).unwrap_or_else(|problem| panic!("{what}: {problem}"));
        let notices = engine.notices().join(" ");
        assert_eq!(notices.is_empty(), notice.is_empty(), "{what}: {notices}");
        assert!(notices.contains(notice), "{what}: {notices}");
        assert!(Checkpoint::open(&path, None).unwrap().saved_whole());
    }
}

#[test]
#[allow(clippy::too_many_lines)] // a table
fn other_networks_are_refused_with_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.pth");
    let cases: [(&str, Edit, &str); 34] = [
        (
            "no pool, as for small photos",
            &|net| net.put("maxpool", identity()),
            "maxpool is Identity instead of MaxPool2d",
        ),
        (
            "another pool",
            &|net| net.at("maxpool").set("stride", 1),
            "maxpool has kernel_size 3, stride 1, padding 1, ceil_mode 0 instead of 3, 2, 1, 0",
        ),
        (
            "Caffe's pool",
            &|net| {
                net.at("maxpool").set("padding", 0);
                net.at("maxpool").set("ceil_mode", Py::Bool(true));
            },
            "padding 0, ceil_mode 1 instead of 3, 2, 1, 0",
        ),
        (
            "a blurred pool",
            &|net| {
                let pool = max_pool().with("stride", 1);
                let blur = plain("timm.layers.blur_pool.BlurPool2d");
                net.put("maxpool", sequential([pool, blur]));
            },
            "maxpool.0 has kernel_size 3, stride 1",
        ),
        (
            "a stem without stride",
            &|net| net.at("conv1").set("stride", pair(1)),
            "conv1 has stride 1 instead of 2",
        ),
        (
            "layer4 without stride",
            &|net| {
                net.at("layer4.0.conv1").set("stride", pair(1));
                net.at("layer4.0.downsample.0").set("stride", pair(1));
            },
            "layer4.0.conv1 has stride 1 instead of 2; layer4.0.downsample.0 has stride 1 instead of 2",
        ),
        (
            "dilation",
            &|net| {
                net.at("layer4.1.conv2").set("dilation", pair(2));
                net.at("layer4.1.conv2").set("padding", pair(2));
            },
            "layer4.1.conv2 has dilation 2 instead of 1; layer4.1.conv2 has padding 2 instead of 1",
        ),
        (
            "other padding",
            &|net| net.at("layer2.1.conv1").set("padding_mode", "reflect"),
            "layer2.1.conv1 pads with reflect instead of zeros",
        ),
        (
            "no padding",
            &|net| net.at("layer2.1.conv1").set("padding", "valid"),
            "layer2.1.conv1 has no padding instead of 1",
        ),
        (
            "another convolution",
            &|net| net.at("conv1").class = "timm.layers.std_conv.StdConv2d".into(),
            "conv1 is StdConv2d instead of Conv2d",
        ),
        (
            "eps",
            &|net| net.at("layer3.0.bn2").set("eps", Py::Float(1e-3)),
            "layer3.0.bn2 has eps 1e-3 instead of 1e-5",
        ),
        (
            "another norm",
            &|net| net.at("bn1").class = "timm.layers.evo_norm.EvoNorm2d".into(),
            "bn1 is EvoNorm2d instead of BatchNorm2d",
        ),
        (
            "a norm of each photo",
            &|net| net.at("bn1").class = "torch.nn.modules.instancenorm.InstanceNorm2d".into(),
            "bn1 is InstanceNorm2d instead of BatchNorm2d",
        ),
        (
            "the largest instead of the average",
            &|net| {
                net.at("avgpool").class = "torch.nn.modules.pooling.AdaptiveMaxPool2d".into();
            },
            "avgpool is AdaptiveMaxPool2d instead of global average pooling",
        ),
        (
            "several cells",
            &|net| net.at("avgpool").set("output_size", pair(2)),
            "avgpool is AdaptiveAvgPool2d instead of global average pooling",
        ),
        (
            "timm's maximum",
            &|net| net.put("global_pool", timms_pool("max")),
            "global_pool.pool is AdaptiveMaxPool2d instead of global average pooling",
        ),
        (
            "a pool with a parameter",
            &|net| net.put("avgpool", plain("__main__.GeM").tensor("p", &[1])),
            "avgpool is GeM instead of global average pooling",
        ),
        (
            "a pool that nobody knows",
            &|net| net.put("avgpool", plain("__main__.Mine")),
            "avgpool is Mine instead of global average pooling",
        ),
        (
            "LeakyReLU",
            &|net| {
                net.for_all(&|module| {
                    if module.class.ends_with(".ReLU") {
                        module.class = "torch.nn.modules.activation.LeakyReLU".into();
                    }
                });
            },
            "layer1.0.relu is LeakyReLU instead of ReLU",
        ),
        (
            "SiLU in the stem alone",
            &|net| net.put("relu", activation("SiLU")),
            "relu is SiLU instead of ReLU",
        ),
        (
            "no activation",
            &|net| net.at("layer3.1").put("relu", identity()),
            "layer3.1.relu is Identity instead of ReLU",
        ),
        (
            "an activation that nobody knows",
            &|net| net.at("layer3.1").put("act2", plain("__main__.Bend")),
            "layer3.1.act2 is Bend instead of ReLU",
        ),
        (
            "an activation in the shortcut",
            &|net| net.at("layer2.0.downsample").put("2", relu()),
            "layer2.0.downsample.2 is ReLU instead of nothing",
        ),
        (
            "anti-aliasing",
            &|net| {
                let pool = plain("torch.nn.modules.pooling.AvgPool2d").with("kernel_size", 2);
                net.at("layer2.0").put("aa", pool);
            },
            "layer2.0.aa is AvgPool2d instead of nothing",
        ),
        (
            "blurring, with its kernel and the strides that it replaces",
            &|net| {
                let blur = plain("timm.layers.blur_pool.BlurPool2d").tensor("filt", &[1, 1, 3, 3]);
                net.at("layer2.0").put("aa", blur);
                net.at("layer2.0.conv1").set("stride", pair(1));
            },
            "runs: layer2.0.aa is BlurPool2d instead of nothing; layer2.0.conv1 has stride 1",
        ),
        (
            "attention without weights",
            &|net| net.at("layer2.0").put("attention", plain("__main__.SimAM")),
            "layer2.0.attention is SimAM instead of nothing",
        ),
        (
            "a sigmoid before the linear layer",
            &|net| net.put("fc", sequential([activation("Sigmoid"), linear(512, 3)])),
            "fc.0 is Sigmoid instead of nothing",
        ),
        (
            "a sigmoid before the network",
            &|net| *net = sequential([activation("Sigmoid"), net.clone()]),
            "0 is Sigmoid instead of nothing",
        ),
        (
            "an activation after the linear layer",
            &|net| net.put("fc", sequential([linear(512, 3), relu()])),
            "fc.1 is ReLU instead of nothing",
        ),
        (
            "tanh before it",
            &|net| net.put("fc", sequential([activation("Tanh"), linear(512, 3)])),
            "fc.0 is Tanh instead of nothing",
        ),
        (
            "another linear layer",
            &|net| net.at("fc").class = "__main__.CosineLinear".into(),
            "fc is CosineLinear instead of Linear",
        ),
        (
            "normalization before the network",
            &|net| *net = sequential([plain("kornia.Normalize"), net.clone()]),
            "0 is Normalize instead of nothing",
        ),
        (
            "within DataParallel",
            &|net| {
                net.at("layer4.0.conv1").set("stride", pair(1));
                let class = "torch.nn.parallel.data_parallel.DataParallel";
                *net = wrapped(class, "module", net.clone());
            },
            "module.layer4.0.conv1 has stride 1 instead of 2",
        ),
        (
            "many",
            &|net| {
                net.for_all(&|module| {
                    if module.class.ends_with("BatchNorm2d") {
                        module.set("eps", Py::Float(1e-3));
                    }
                });
            },
            "and 17 more differences",
        ),
    ];
    for (what, edit, words) in cases {
        let mut module = resnet18_module();
        edit(&mut module);
        save(&path, module);
        let message = open(&path).err().expect(what);
        assert!(message.contains(words), "{what}: {message}");
        assert!(
            message.contains("saved whole in whole.pth is not the ResNet-18"),
            "{what}: {message}"
        );
    }
}

/// Inside a dictionary, as training scripts save them, and inside the wrapper of `torch.compile`,
/// which is pickled as a call.
#[test]
fn modules_tell_that_several_labels_can_be_true() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let cases: [(&str, Edit, &str); 6] = [
        (
            "a sigmoid after the linear layer",
            &|net| net.put("fc", sequential([linear(512, 3), activation("Sigmoid")])),
            "Sigmoid (fc.1)",
        ),
        (
            "a sigmoid after the network",
            &|net| *net = sequential([net.clone(), activation("Sigmoid")]),
            "Sigmoid (1)",
        ),
        (
            "a loss",
            &|net| {
                let mut outer = wrapped("__main__.Findings", "backbone", net.clone());
                outer.put(
                    "criterion",
                    plain("torch.nn.modules.loss.BCEWithLogitsLoss"),
                );
                *net = outer;
            },
            "BCEWithLogitsLoss (criterion)",
        ),
        (
            "a loss in the network",
            &|net| {
                net.put(
                    "loss",
                    plain("torch.nn.modules.loss.MultiLabelSoftMarginLoss"),
                );
            },
            "MultiLabelSoftMarginLoss (loss)",
        ),
        (
            "a loss within a loss",
            &|net| {
                let loss = plain("torch.nn.modules.loss.BCELoss");
                net.put("loss", wrapped("losses.MixedLoss", "bce", loss));
            },
            "BCELoss (loss.bce)",
        ),
        (
            "a metric",
            &|net| {
                let metric = plain("torchmetrics.classification.auroc.MultilabelAUROC");
                net.put("auroc", metric);
            },
            "MultilabelAUROC (auroc)",
        ),
    ];
    for (what, edit, from) in cases {
        let mut net = resnet18_module();
        edit(&mut net);
        save(&path, net);
        let engine = open(&path).unwrap_or_else(|message| panic!("{what}: {message}"));
        let info = engine.model();
        assert_eq!(info.scores, Scores::Sigmoid, "{what}");
        assert_eq!(info.scores_from.as_deref(), Some(from), "{what}");
    }
}

#[test]
fn modules_within_something_are_compared_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.pth");
    let compiled = "torch._dynamo.eval_frame.OptimizedModule";
    let around: [&dyn Fn(Module) -> Py; 2] = [
        &|module| Py::Dict(vec![("model".into(), Py::Module(module))]),
        &|module| Py::Call(compiled.into(), vec![Py::Module(module), Py::None]),
    ];
    for wrap in around {
        save_value(&path, &wrap(resnet18_module()));
        assert!(open(&path).unwrap().notices().is_empty());
        let mut other = resnet18_module();
        other.at("conv1").set("stride", pair(1));
        save_value(&path, &wrap(other));
        let message = open(&path).err().unwrap();
        assert!(message.contains("conv1 has stride 1"), "{message}");
    }
}

/// The tensors of a module by name.
fn state_dict(module: &Module, prefix: &str, out: &mut Vec<(Py, Py)>) {
    for (name, shape) in &module.tensors {
        let name = format!("{prefix}{name}");
        out.push((Py::Text(name), Py::Tensor(shape.clone())));
    }
    for (name, module) in &module.modules {
        state_dict(module, &format!("{prefix}{name}."), out);
    }
}

/// The classes determine what a state dict leaves open.
#[test]
fn an_efficientnet_lite0_saved_whole_tells_its_padding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lite.pth");
    for (tensorflow, mean) in [(true, 0.5), (false, 0.485)] {
        save(&path, lite0(tensorflow));
        let engine = open(&path).unwrap();
        assert_eq!(engine.model().architecture, "EfficientNet-Lite0");
        assert!((engine.preprocessing().mean[0] - mean).abs() < 1e-6);
        assert!(engine.notices().is_empty(), "{:?}", engine.notices());
    }
    // A state dict does not determine it, but the name written by the training script does.
    let mut tensors = Vec::new();
    state_dict(&lite0(false), "", &mut tensors);
    for (name, mean, notices) in [
        ("tf_efficientnet_lite0", 0.5, 0),
        ("efficientnet_lite0", 0.485, 0),
        ("lesions", 0.485, 1),
    ] {
        let value = Py::Dict(vec![
            ("arch".into(), name.into()),
            ("state_dict".into(), Py::Dict(tensors.clone())),
        ]);
        save_value(&path, &value);
        let engine = open(&path).unwrap();
        assert!((engine.preprocessing().mean[0] - mean).abs() < 1e-6);
        assert_eq!(engine.notices().len(), notices, "{:?}", engine.notices());
    }
    let cases: [(Edit, &str); 4] = [
        (
            &|net| net.at("blocks.2.0.bn2").put("act", activation("SiLU")),
            "blocks.2.0.bn2.act is SiLU instead of ReLU6",
        ),
        (
            &|net| net.at("blocks.2.0.bn3").put("act", activation("ReLU6")),
            "blocks.2.0.bn3.act is ReLU6 instead of Identity",
        ),
        (
            &|net| {
                net.at("blocks.5.0.conv_dw").class = "timm.layers.conv2d_same.Conv2dSame".into();
            },
            "blocks.5.0.conv_dw pads like TensorFlow",
        ),
        (
            &|net| net.put("global_pool", timms_pool("max")),
            "AdaptiveMaxPool2d instead of global average pooling",
        ),
    ];
    for (edit, words) in cases {
        let mut module = lite0(false);
        edit(&mut module);
        save(&path, module);
        let message = open(&path).err().expect(words);
        assert!(message.contains(words), "{message}");
    }
}
