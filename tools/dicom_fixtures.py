"""Makes the synthetic DICOM files in tests/dicom, and what pydicom reads from them.

    python -m venv venv && venv/bin/pip install pydicom numpy && venv/bin/python tools/dicom_fixtures.py

All patient data is made up: it must never appear in what camlens shows or exports.
"""

import json
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

FOLDER = Path(__file__).parent.parent / "tests" / "dicom"
WIDTH, HEIGHT = 24, 16


def base(syntax, photometric="MONOCHROME2", bits=16, stored=12, signed=0, samples=1):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.PatientName = "SECRETNAME^MADEUP"
    data.PatientID = "SECRETID-4711"
    data.PatientBirthDate = "19010203"
    data.InstitutionName = "SECRETHOSPITAL"
    data.StudyDescription = "SECRETSTUDY"
    inner = Dataset()
    inner.CodeMeaning = "SECRETCODE"
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = Sequence([inner])
    data.ReferencedStudySequence = Sequence([outer])
    data.Rows, data.Columns = HEIGHT, WIDTH
    data.SamplesPerPixel = samples
    data.PhotometricInterpretation = photometric
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, stored, stored - 1
    data.PixelRepresentation = signed
    return data


def ramp(low, high, kind):
    return np.linspace(low, high, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(kind)


def window(data, center, width, function=None):
    data.WindowCenter, data.WindowWidth = center, width
    if function:
        data.VOILUTFunction = function


def files():
    ct = base(ExplicitVRLittleEndian, signed=1, stored=16)
    ct.RescaleIntercept, ct.RescaleSlope = "-1024", "1"
    window(ct, ["40", "-600"], ["400", "1500"])
    ct.PixelData = ramp(-100, 3000, np.int16).tobytes()
    yield "ct", ct

    implicit = base(ImplicitVRLittleEndian)
    window(implicit, 1000, 700, "SIGMOID")
    implicit.PixelData = ramp(0, 4095, np.uint16).tobytes()
    yield "implicit-sigmoid", implicit

    big = base(ExplicitVRBigEndian, photometric="MONOCHROME1")
    window(big, 2000, 1000, "LINEAR_EXACT")
    big.PixelData = ramp(0, 4095, ">u2").tobytes()
    yield "big-endian-inverted", big

    plain = base(ExplicitVRLittleEndian, bits=8, stored=8)
    plain.PixelData = ramp(10, 200, np.uint8).tobytes()
    yield "plain-8", plain

    rle = base(RLELossless, signed=1, stored=16)
    window(rle, 500, 2000)
    pixels = ramp(-500, 2500, np.int16)
    rle.compress(RLELossless, pixels, encoding_plugin="pydicom")
    yield "rle", rle

    frames = base(ExplicitVRLittleEndian)
    frames.NumberOfFrames = 3
    window(frames, 2048, 4096)
    all_frames = [ramp(0, 4095, np.uint16), ramp(4095, 0, np.uint16), ramp(0, 9, np.uint16)]
    frames.PixelData = b"".join(frame.tobytes() for frame in all_frames)
    yield "frames", frames

    functional = base(ExplicitVRLittleEndian)
    functional.NumberOfFrames = 1
    shared, rescale, voi = Dataset(), Dataset(), Dataset()
    rescale.RescaleIntercept, rescale.RescaleSlope, rescale.RescaleType = "-1000", "2", "HU"
    voi.WindowCenter, voi.WindowWidth = "50", "2000"
    shared.PixelValueTransformationSequence = Sequence([rescale])
    shared.FrameVOILUTSequence = Sequence([voi])
    functional.SharedFunctionalGroupsSequence = Sequence([shared])
    functional.PixelData = ramp(0, 1500, np.uint16).tobytes()
    yield "functional-groups", functional

    rgb = base(ExplicitVRLittleEndian, photometric="RGB", bits=8, stored=8, samples=3)
    rgb.PlanarConfiguration = 1
    planes = [ramp(0, 255, np.uint8), ramp(255, 0, np.uint8), ramp(100, 110, np.uint8)]
    rgb.PixelData = b"".join(plane.tobytes() for plane in planes)
    yield "rgb-planar", rgb

    palette = base(ExplicitVRLittleEndian, photometric="PALETTE COLOR", bits=8, stored=8)
    for index, color in enumerate(["Red", "Green", "Blue"]):
        setattr(palette, f"{color}PaletteColorLookupTableDescriptor", [256, 0, 16])
        table = (np.arange(256) * (index + 1) % 256 * 257).astype(np.uint16)
        setattr(palette, f"{color}PaletteColorLookupTableData", table.tobytes())
    palette.PixelData = ramp(0, 255, np.uint8).tobytes()
    yield "palette", palette

    jpeg2000 = base(JPEG2000Lossless)
    from pydicom.encaps import encapsulate

    jpeg2000.PixelData = encapsulate([b"\xff\x4f\xff\x51" + b"\0" * 60])
    jpeg2000["PixelData"].is_undefined_length = True
    yield "jpeg-2000", jpeg2000


def expected(name, data):
    if name == "jpeg-2000":
        return None
    from pydicom.pixels import apply_color_lut

    array = data.pixel_array
    if data.get("NumberOfFrames", 1) > 1:
        array = array[0]
    if name == "palette":
        return (apply_color_lut(array, data) >> 8).astype(int).reshape(-1).tolist()
    if data.SamplesPerPixel == 3:
        return array.astype(int).reshape(-1).tolist()
    source = data
    if name == "functional-groups":
        source = Dataset()
        shared = data.SharedFunctionalGroupsSequence[0]
        source.update(shared.PixelValueTransformationSequence[0])
        source.update(shared.FrameVOILUTSequence[0])
        source.BitsStored, source.PixelRepresentation = 12, 0
        source.PhotometricInterpretation = "MONOCHROME2"
    levels = apply_modality_lut(array, source).astype(np.float64)
    if "WindowCenter" not in source:
        low, high = levels.min(), levels.max()
        gray = (levels - low) / (high - low) * 255
    else:
        source.add_new(0x00280101, "US", source.BitsStored)
        shown = apply_voi_lut(levels, source)
        # pydicom maps a window to the range of the levels; bring it to 0 to 255.
        function = source.get("VOILUTFunction", "LINEAR")
        center, width = source.WindowCenter, source.WindowWidth
        center = float(center if isinstance(center, (int, float, str)) or not hasattr(center, "__len__") else center[0])
        width = float(width if isinstance(width, (int, float, str)) or not hasattr(width, "__len__") else width[0])
        del shown
        if function == "SIGMOID":
            gray = 255 / (1 + np.exp(-4 * (levels - center) / width))
        elif function == "LINEAR_EXACT":
            gray = ((levels - center) / width + 0.5) * 255
        else:
            gray = ((levels - (center - 0.5)) / (width - 1) + 0.5) * 255
    gray = np.clip(gray, 0, 255)
    if data.PhotometricInterpretation == "MONOCHROME1":
        gray = 255 - gray
    return np.floor(gray + 0.5).astype(int).reshape(-1).tolist()


def main():
    FOLDER.mkdir(exist_ok=True)
    answers = {}
    for name, data in files():
        little = data.file_meta.TransferSyntaxUID != ExplicitVRBigEndian
        dcmwrite(FOLDER / f"{name}.dcm", data, enforce_file_format=True, **({} if little else {"implicit_vr": False, "little_endian": False}))
        import pydicom

        answers[name] = expected(name, pydicom.dcmread(FOLDER / f"{name}.dcm"))
    lines = [f'"{name}": {json.dumps(answer, separators=(",", ":"))}' for name, answer in answers.items()]
    (FOLDER / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
