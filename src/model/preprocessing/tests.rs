use super::*;

#[test]
fn the_presets_do_what_their_names_say() {
    let own = Preprocessing::usual(Architecture::ResNet18, LiteNames::Source);
    for (preset, black, white) in [
        (Preset::Imagenet, -0.485 / 0.229, (1.0 - 0.485) / 0.229),
        (Preset::Tutorial, 0.0, 1.0),
        (Preset::Half, -1.0, 1.0),
        (Preset::Bytes, 0.0, 255.0),
        (Preset::CaffeBgr, -123.68, 131.32),
    ] {
        let table = PreprocessChoice::Preset(preset).over(own).table(0);
        assert!((table[0] - black).abs() < 2e-5 && (table[255] - white).abs() < 2e-5);
    }
    let lite = Preprocessing::usual(Architecture::EfficientNetLite0, LiteNames::Source);
    assert!((lite.table(2)[255] - 1.0).abs() < 1e-6 && lite.table(1)[127].abs() < 1e-6);
}

#[test]
fn channels_are_in_their_order() {
    let pixel = [10, 100, 200];
    let own = Preprocessing {
        mean: [0.0, 0.25, 0.5],
        std: [1.0, 0.5, 0.25],
        ..Preprocessing::default()
    };
    let [red, green, blue] =
        [0, 1, 2].map(|channel| own.table(channel)[usize::from(pixel[channel])]);
    let of = |order, channels| {
        Preprocessing { order, ..own }
            .values(&pixel, channels)
            .unwrap()
    };
    assert_eq!(of(ChannelOrder::Rgb, 3), [red, green, blue]);
    assert_eq!(of(ChannelOrder::Bgr, 3), [blue, green, red]);
    let gray = usize::from(luma(pixel));
    let grays = [0, 1, 2].map(|channel| own.table(channel)[gray]);
    assert_eq!(of(ChannelOrder::Gray, 3), grays);
    // One channel: the average of means, and of standard deviations.
    let one = (gray as f32 / 255.0 - 0.25) / (1.75 / 3.0);
    for order in ChannelOrder::ALL {
        let values = of(order, 1);
        assert!(values.len() == 1 && (values[0] - one).abs() < 1e-6);
    }
    assert!(own.values(&pixel, 4).is_err());
    let bytes = Preset::Bytes.over(own).values(&pixel, 3).unwrap();
    assert_eq!(bytes, [10.0, 100.0, 200.0]);
    let caffe = Preset::CaffeBgr.over(own).values(&pixel, 3).unwrap();
    for (value, expected) in caffe
        .iter()
        .zip([200.0 - 103.939, 100.0 - 116.779, 10.0 - 123.68])
    {
        assert!((value - expected).abs() < 1e-4);
    }
}

#[test]
fn presets_are_recognized() {
    for preset in Preset::ALL {
        let bicubic = Preprocessing {
            resampling: Resampling::Bicubic,
            ..Preprocessing::default()
        };
        assert_eq!(Preset::of(&preset.over(bicubic)), Some(preset));
        let gray = Preprocessing {
            order: ChannelOrder::Gray,
            ..Preprocessing::default()
        };
        assert_eq!(preset.over(gray).order, ChannelOrder::Gray);
    }
    let lite = Preprocessing::usual(Architecture::EfficientNetLite0, LiteNames::Source);
    assert_eq!(Preset::of(&lite), None);
}

#[test]
fn manifests_of_earlier_versions_are_read() {
    let old = r#"{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "size": {"crop": 224, "short": 256}}"#;
    let read: Preprocessing = serde_json::from_str(old).unwrap();
    assert_eq!(read, Preprocessing::default());
    assert_eq!(
        read.to_string(),
        "mean 0.485, 0.456, 0.406; std 0.229, 0.224, 0.225; input 224"
    );
    assert_eq!(read.pad_color(), [124, 116, 104]);
    let text = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Preprocessing>(&text).unwrap(), read);
}
