#!/usr/bin/env python3
"""Makes tests/corpus: unusual and damaged photos, and photos with wrong headers.

    python3 tools/broken_photos.py        (needs Pillow and numpy)

expected.txt lists the expected result of each file:
    name  exact  WIDTHxHEIGHT  SHA-256 of its upright RGB8 pixels
    name  near   WIDTHxHEIGHT  the file in this folder with the same pixels, except for rounding
    name  refused  words of the message
Pillow is the reference for pixels. What it scales differently from camlens (16-bit samples,
alpha) is computed here with numpy.
"""
import hashlib
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps, features

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "corpus"
expected = []


def picture(width=40, height=30):
    """A smooth picture without symmetry, so that no rotation looks like another."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    red = 255 * x / max(width - 1, 1)
    green = 255 * y / max(height - 1, 1)
    blue = 127 + 100 * np.sin(x / 5 + y * y / 90)
    return np.stack([red, green, blue], -1).round().clip(0, 255).astype(np.uint8)


def keep(name, data):
    (OUT / name).write_bytes(data)


def exact(name, data, rgb):
    keep(name, data)
    rgb = np.ascontiguousarray(rgb, dtype=np.uint8)
    digest = hashlib.sha256(rgb.tobytes()).hexdigest()
    expected.append(f"{name}\texact\t{rgb.shape[1]}x{rgb.shape[0]}\t{digest}")


def near(name, data, other, size):
    keep(name, data)
    expected.append(f"{name}\tnear\t{size[0]}x{size[1]}\t{other}")


def refused(name, data, words):
    keep(name, data)
    expected.append(f"{name}\trefused\t{words}")


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def by_pillow(data):
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def on_white(rgba):
    """Composites like camlens: with rounded integers."""
    rgba = rgba.astype(np.uint32)
    alpha = rgba[..., 3:]
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, depth, color, rows, before=b""):
    """A hand-made PNG, for what Pillow can't write."""
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before
            + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def to_8_bits(samples):
    """Scales like the png and image crates: 65535 becomes 255, rounded."""
    return ((samples.astype(np.uint64) + 128) // 257).astype(np.uint8)


def exif_orientation(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif.tobytes()


def with_segment(jpeg, marker, body):
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def formats(rgb):
    image = Image.fromarray(rgb)
    exact("upright.png", saved(image, "PNG"), rgb)
    exact("photo.bmp", saved(image, "BMP"), rgb)
    exact("photo.ppm", saved(image, "PPM"), rgb)
    exact("photo.tga", saved(image, "TGA"), rgb)
    exact("photo-rle.tga", saved(image, "TGA", compression="tga_rle"), rgb)
    for compression in ["raw", "tiff_lzw", "packbits", "tiff_adobe_deflate"]:
        exact(f"photo-{compression}.tiff", saved(image, "TIFF", compression=compression), rgb)
    exact("lossless.webp", saved(image, "WEBP", lossless=True), rgb)
    near("lossy.webp", saved(image, "WEBP", quality=90), "upright.png", image.size)
    qoi = saved(image, "QOI")
    exact("photo.qoi", qoi, rgb)
    for name, options in [("baseline", {}), ("progressive", {"progressive": True}),
                          ("444", {"subsampling": 0})]:
        data = saved(image, "JPEG", quality=92, **options)
        exact(f"{name}.jpg", data, by_pillow(data))
    gif = saved(image.quantize(64), "GIF")
    exact("photo.gif", gif, by_pillow(gif))
    exact("jpeg-called.png", saved(image, "JPEG", quality=92), by_pillow(saved(image, "JPEG", quality=92)))
    exact("png-called.jpg", saved(image, "PNG"), rgb)
    exact("no-ending", saved(image, "PNG"), rgb)


def samples(rgb):
    """Bit depths, gray, alpha, palettes, CMYK."""
    height, width = rgb.shape[:2]
    gray = rgb[..., 0]
    alpha = rgb[..., 2]
    three = lambda plane: np.stack([plane] * 3, -1)
    exact("gray.png", saved(Image.fromarray(gray), "PNG"), three(gray))
    exact("bits.png", saved(Image.fromarray(gray > 127), "PNG"), three(np.where(gray > 127, 255, 0)))
    gray_alpha = Image.merge("LA", [Image.fromarray(gray), Image.fromarray(alpha)])
    exact("gray-alpha.png", saved(gray_alpha, "PNG"),
          on_white(np.dstack([three(gray), alpha])))
    rgba = np.dstack([rgb, alpha])
    exact("rgba.png", saved(Image.fromarray(rgba), "PNG"), on_white(rgba))
    exact("rgba.webp", saved(Image.fromarray(rgba), "WEBP", lossless=True, exact=True), on_white(rgba))
    wide = (rgb.astype(np.uint32) * 257 + np.arange(width)[None, :, None] * 3) % 65536
    rows = [row.astype(">u2").tobytes() for row in wide]
    exact("rgb-16.png", png(width, height, 16, 2, rows), to_8_bits(wide))
    rows = [row.astype(">u2").tobytes() for row in wide[..., 0]]
    exact("gray-16.png", png(width, height, 16, 0, rows), three(to_8_bits(wide[..., 0])))
    palette = Image.fromarray(rgb).quantize(16)
    colors = np.array(palette.getpalette()[:48], np.uint8).reshape(-1, 3)
    indices = np.asarray(palette)
    alphas = np.full(len(colors), 255, np.uint8)
    alphas[[2, 5]] = 0, 100
    data = saved(palette, "PNG", transparency=bytes(alphas))
    exact("palette-transparent.png", data, on_white(np.dstack([colors[indices], alphas[indices]])))
    cmyk = Image.fromarray(rgb).convert("CMYK")
    # 32 bits per pixel, none of which are alpha.
    tga = bytearray(saved(Image.fromarray(np.dstack([rgb, alpha])), "TGA"))
    tga[17] &= 0xF0
    exact("no-alpha.tga", bytes(tga), rgb)
    # Pillow writes inverted CMYK, as Adobe does.
    near("cmyk.jpg", saved(cmyk, "JPEG", quality=98, subsampling=0), "upright.png", cmyk.size)
    near("gray.jpg", saved(Image.fromarray(gray), "JPEG", quality=98), "gray.png", (width, height))


def orientations(rgb):
    image = Image.fromarray(rgb)
    # The transposition to store for each orientation, so that it gives the upright picture.
    stored = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }
    for number, way in stored.items():
        lying = image if way is None else image.transpose(way)
        exif = exif_orientation(number)
        data = saved(lying, "PNG", exif=exif)
        assert (by_pillow(data) == rgb).all(), number
        exact(f"orientation-{number}.png", data, rgb)
        near(f"orientation-{number}.jpg", saved(lying, "JPEG", quality=95, subsampling=0, exif=exif),
             "upright.png", image.size)
    exact("orientation-6.webp", saved(image.transpose(stored[6]), "WEBP", lossless=True,
                                      exif=exif_orientation(6)), rgb)
    exact("orientation-6.tiff", saved(image.transpose(stored[6]), "TIFF", tiffinfo={274: 6}), rgb)
    # With the prefix that only JPEG should have, as some programs write it.
    webp = saved(image.transpose(stored[6]), "WEBP", lossless=True, exif=b"Exif\0\0" + exif_orientation(6).removeprefix(b"Exif\0\0"))
    exact("orientation-6-prefixed.webp", webp, rgb)
    exact("orientation-99.png", saved(image, "PNG", exif=exif_orientation(99)), rgb)


def animations(rgb):
    frames = [Image.fromarray(np.roll(rgb, 7 * n, 1)) for n in range(4)]
    gif = saved(frames[0].quantize(32), "GIF", save_all=True,
                append_images=[frame.quantize(32) for frame in frames[1:]], duration=50)
    exact("animated.gif", gif, by_pillow(gif))
    exact("animated.webp", saved(frames[0], "WEBP", lossless=True, save_all=True,
                                 append_images=frames[1:]), rgb)
    exact("animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]), rgb)
    # A thousand frames: no more than the first may be decoded.
    dot = Image.fromarray(np.zeros((2, 2), np.uint8)).quantize(2)
    many = saved(dot, "GIF", save_all=True, append_images=[
        Image.fromarray(np.full((2, 2), 255 * (n % 2), np.uint8)).quantize(2) for n in range(999)])
    exact("thousand-frames.gif", many, by_pillow(many))


def sizes():
    dot = np.array([[[10, 200, 30]]], np.uint8)
    exact("1x1.png", saved(Image.fromarray(dot), "PNG"), dot)
    exact("1x1.jpg", saved(Image.fromarray(dot), "JPEG"), by_pillow(saved(Image.fromarray(dot), "JPEG")))
    for name, shape in [("1x20000.png", (20000, 1)), ("20000x1.png", (1, 20000))]:
        line = np.zeros((*shape, 3), np.uint8)
        line[..., 1] = np.arange(20000).reshape(shape) // 79
        exact(name, saved(Image.fromarray(line), "PNG", optimize=True), line)
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    rest = chunk(b"IDAT", zlib.compress(bytes(3000))) + chunk(b"IEND", b"")
    refused("60000x60000.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + rest,
            "has 3600 megapixels (60000×60000), and the limit is 100")
    refused("60000x1000.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", 60000, 1000, 8, 2, 0, 0, 0)) + rest, "a side may have 32768 at most")
    refused("0x0.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(8) + b"\x08\x02\0\0\0") + rest, "damaged")
    # 90 megapixels are within one limit, but 720 MB exceed the other.
    refused("16-bit-90-megapixels.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", 9000, 10000, 16, 6, 0, 0, 0)) + rest, "takes 720 MB when decoded")
    refused("90-megapixels-cut.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", 9000, 10000, 8, 2, 0, 0, 0)) + rest, "damaged or cut short")


def metadata(rgb):
    image = Image.fromarray(rgb)
    height, width = rgb.shape[:2]
    rows = [row.tobytes() for row in rgb]
    plain = saved(image, "JPEG", quality=92)
    pixels = by_pillow(plain)
    exact("icc-garbage.jpg", with_segment(plain, 0xE2, b"ICC_PROFILE\0\x01\x01" + b"garbage" * 9), pixels)
    exact("icc-missing-part.jpg", with_segment(plain, 0xE2, b"ICC_PROFILE\0\x02\x05part"), pixels)
    exact("exif-garbage.jpg", with_segment(plain, 0xE1, b"Exif\0\0MM\0\x2a\xff\xff\xff\xf0rubbish"), pixels)
    exact("icc-garbage.png", png(width, height, 8, 2, rows, chunk(b"iCCP", b"name\0\0not deflated")), rgb)
    loop = b"II\x2a\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x0112, 3, 1, 6) + struct.pack("<I", 8)
    exact("exif-loop.jpg", with_segment(plain, 0xE1, b"Exif\0\0" + loop),
          np.rot90(pixels, -1))
    # 40 MB of zeros in 40 KB.
    bomb = b"name\0\0" + zlib.compress(bytes(40_000_000), 9)
    exact("icc-bomb.png", png(width, height, 8, 2, rows, chunk(b"iCCP", bomb)), rgb)
    claim = struct.pack(">I", 0x7FFFFFFF) + b"iCCPname\0\0"
    refused("icc-claims-2-gb.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + claim, "more than 16 MB of metadata")
    webp = bytearray(saved(image, "WEBP", lossless=True, exif=exif_orientation(6)))
    where = webp.index(b"EXIF")
    webp[where + 4:where + 8] = struct.pack("<I", 0xFFFFFFF0)
    refused("exif-claims-4-gb.webp", bytes(webp), "more than 16 MB of metadata")


def broken(rgb):
    refused("zero-bytes.png", b"", "empty")
    refused("text.jpg", b"this is no picture\n" * 9, "not an image")
    refused("zeros.png", bytes(4000), "not an image")
    refused("only-signature.png", b"\x89PNG\r\n\x1a\n", "damaged")
    refused("only-signature.jpg", b"\xff\xd8\xff", "damaged")
    refused("only-signature.webp", b"RIFF\x10\0\0\0WEBP", "damaged")
    refused("only-signature.gif", b"GIF89a", "damaged")
    refused("only-signature.tiff", b"II*\0", "damaged")
    refused("only-signature.bmp", b"BM", "damaged")
    refused("only-signature.qoi", b"qoif", "damaged")
    refused("heic-called.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50), "HEIC is not supported")
    jpeg = saved(Image.fromarray(rgb), "JPEG", quality=80, progressive=True)
    scan = jpeg.rindex(b"\xff\xda")
    refused("thousand-scans.jpg", jpeg[:-2] + jpeg[scan:-2] * 1000 + b"\xff\xd9", "damaged")
    loop = bytearray(saved(Image.fromarray(rgb), "TIFF", compression="raw"))
    # The next directory is this directory again.
    first = struct.unpack("<I", loop[4:8])[0]
    count = struct.unpack("<H", loop[first:first + 2])[0]
    end = first + 2 + 12 * count
    loop[end:end + 4] = struct.pack("<I", first)
    refused("directory-loop.tiff", bytes(loop), "damaged")
    bmp = bytearray(saved(Image.fromarray(rgb).quantize(200), "BMP"))
    bmp[10:14] = struct.pack("<I", 54)
    refused("pixels-in-palette.bmp", bytes(bmp), "within its palette")
    checksum = bytearray(saved(Image.fromarray(rgb), "PNG"))
    checksum[-20] ^= 0x55
    refused("wrong-checksum.png", bytes(checksum), "damaged")


def main():
    assert features.check("webp"), "Pillow without WebP"
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        if old.is_file() and old.name != "README.md":
            old.unlink()
    rgb = picture()
    for part in [formats, samples, orientations, animations, metadata, broken]:
        part(rgb)
    sizes()
    (OUT / "expected.txt").write_text("\n".join(expected) + "\n")
    total = sum(f.stat().st_size for f in OUT.iterdir() if f.is_file())
    print(f"{len(expected)} files, {total} bytes")


if __name__ == "__main__":
    main()
