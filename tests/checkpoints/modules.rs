//! Modules as PyTorch, torchvision and timm build them.

use super::torch_save::{Module, Py, pair, sequential};

pub fn conv(cin: usize, cout: usize, kernel: usize, stride: i32) -> Module {
    Module::new("torch.nn.modules.conv.Conv2d")
        .with("kernel_size", pair(i32::try_from(kernel).unwrap()))
        .with("stride", pair(stride))
        .with("padding", pair(i32::try_from(kernel / 2).unwrap()))
        .with("dilation", pair(1))
        .with("padding_mode", "zeros")
        .tensor("weight", &[cout, cin, kernel, kernel])
}

pub fn norm(channels: usize) -> Module {
    let norm = Module::new("torch.nn.modules.batchnorm.BatchNorm2d").with("eps", Py::Float(1e-5));
    ["weight", "bias", "running_mean", "running_var"]
        .into_iter()
        .fold(norm, |norm, name| norm.tensor(name, &[channels]))
}

pub fn plain(class: &str) -> Module {
    Module::new(class)
}

pub fn relu() -> Module {
    plain("torch.nn.modules.activation.ReLU")
}

pub fn activation(name: &str) -> Module {
    plain(&format!("torch.nn.modules.activation.{name}"))
}

pub fn identity() -> Module {
    plain("torch.nn.modules.linear.Identity")
}

pub fn dropout() -> Module {
    plain("torch.nn.modules.dropout.Dropout").with("p", Py::Float(0.5))
}

pub fn linear(inputs: usize, outputs: usize) -> Module {
    Module::new("torch.nn.modules.linear.Linear")
        .tensor("weight", &[outputs, inputs])
        .tensor("bias", &[outputs])
}

pub fn max_pool() -> Module {
    Module::new("torch.nn.modules.pooling.MaxPool2d")
        .with("kernel_size", 3)
        .with("stride", 2)
        .with("padding", 1)
        .with("dilation", 1)
        .with("ceil_mode", Py::Bool(false))
}

pub fn average_pool() -> Module {
    plain("torch.nn.modules.pooling.AdaptiveAvgPool2d").with("output_size", pair(1))
}

/// torchvision's ResNet-18 with three classes.
pub fn resnet18_module() -> Module {
    let mut network = plain("torchvision.models.resnet.ResNet")
        .module("conv1", conv(3, 64, 7, 2))
        .module("bn1", norm(64))
        .module("relu", relu())
        .module("maxpool", max_pool());
    let mut cin = 64;
    for stage in 0..4 {
        let width = 64 << stage;
        let blocks = (0..2).map(|index| {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let mut block = plain("torchvision.models.resnet.BasicBlock")
                .module("conv1", conv(cin, width, 3, stride))
                .module("bn1", norm(width))
                .module("relu", relu())
                .module("conv2", conv(width, width, 3, 1))
                .module("bn2", norm(width));
            if stride == 2 {
                let shortcut = conv(cin, width, 1, 2);
                block.put("downsample", sequential([shortcut, norm(width)]));
            }
            cin = width;
            block
        });
        let blocks: Vec<Module> = blocks.collect();
        network.put(&format!("layer{}", stage + 1), sequential(blocks));
    }
    network
        .module("avgpool", average_pool())
        .module("fc", linear(512, 3))
}

/// EfficientNet-Lite0 as built by timm, in TensorFlow's version (`tf_efficientnet_lite0`) or timm's
/// own, for two classes.
pub fn lite0(tensorflow: bool) -> Module {
    let conv = |cin: usize, cout: usize, kernel: usize, stride: i32| {
        let conv = conv(cin, cout, kernel, stride);
        if tensorflow && stride == 2 {
            let mut conv = conv.with("padding", pair(0));
            conv.class = "timm.layers.conv2d_same.Conv2dSame".into();
            return conv;
        }
        conv
    };
    let act_norm = |channels: usize, act: Module| {
        let mut norm = norm(channels)
            .with("eps", Py::Float(if tensorflow { 1e-3 } else { 1e-5 }))
            .module("drop", identity())
            .module("act", act);
        norm.class = "timm.layers.norm_act.BatchNormAct2d".into();
        norm
    };
    let relu6 = || activation("ReLU6");
    let mut stages = Vec::new();
    let mut cin = 32;
    for (repeats, kernel, first, expansion, cout) in [
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    ] {
        let mut blocks = Vec::new();
        for repeat in 0..repeats {
            let stride = if repeat == 0 { first } else { 1 };
            let middle = cin * expansion;
            let mut depthwise = conv(1, middle, kernel, stride);
            depthwise.tensors = vec![("weight".into(), vec![middle, 1, kernel, kernel])];
            blocks.push(if expansion == 1 {
                plain("timm.models._efficientnet_blocks.DepthwiseSeparableConv")
                    .module("conv_dw", depthwise)
                    .module("bn1", act_norm(middle, relu6()))
                    .module("se", identity())
                    .module("conv_pw", conv(middle, cout, 1, 1))
                    .module("bn2", act_norm(cout, identity()))
            } else {
                plain("timm.models._efficientnet_blocks.InvertedResidual")
                    .module("conv_pw", conv(cin, middle, 1, 1))
                    .module("bn1", act_norm(middle, relu6()))
                    .module("conv_dw", depthwise)
                    .module("bn2", act_norm(middle, relu6()))
                    .module("conv_pwl", conv(middle, cout, 1, 1))
                    .module("bn3", act_norm(cout, identity()))
                    .module("drop_path", plain("timm.layers.drop.DropPath"))
            });
            cin = cout;
        }
        stages.push(sequential(blocks));
    }
    plain("timm.models.efficientnet.EfficientNet")
        .module("conv_stem", conv(3, 32, 3, 2))
        .module("bn1", act_norm(32, relu6()))
        .module("blocks", sequential(stages))
        .module("conv_head", conv(cin, 1280, 1, 1))
        .module("bn2", act_norm(1280, relu6()))
        .module("global_pool", timms_pool("avg"))
        .module("classifier", linear(1280, 2))
}

pub fn timms_pool(kind: &str) -> Module {
    plain("timm.layers.adaptive_avgmax_pool.SelectAdaptivePool2d")
        .with("pool_type", kind)
        .module(
            "pool",
            match kind {
                "max" => plain("torch.nn.modules.pooling.AdaptiveMaxPool2d"),
                _ => plain("torch.nn.modules.pooling.AdaptiveAvgPool2d"),
            }
            .with("output_size", 1),
        )
        .module("flatten", plain("torch.nn.modules.flatten.Flatten"))
}

pub fn wrapped(class: &str, name: &str, module: Module) -> Module {
    plain(class).module(name, module)
}
