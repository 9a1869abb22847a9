"""Limits on the size of a picture by the formats' own arithmetic, so that no honest file meets them.

A header can claim pixels that its bytes cannot hold, and a decoder makes room for all of them first. The least length
of a file is what the best compression of its format needs for one colour. Formats that hold one colour of any size in a
few bytes (lossless WebP, fax pages, arithmetic coding) have none: there `MAX_PIXELS` alone counts.
"""

MAX_PIXELS = 200_000_000  # the largest phones take 199.8 megapixels; `docs/labels.md` says what they take of memory
# Of a JPEG. Each costs a pass over all pixels and may have 20 bytes. libjpeg's default has 10, mozjpeg's search some
# dozens, and the scripts that `jpegtran -scans` takes end at 100.
MAX_SCANS = 100

# Deflate's longest match is 258 bytes, and no match has fewer than 2 bits.
_DEFLATE = 1032
# LZW: 3,838 codes of 12 bits at most between two clears, each a byte longer than the one before.
_LZW = 1400
_PACK_BITS = 64  # 128 bytes in 2
# A JPEG's block of 8 x 8 has at least a bit (in a progressive one's first scan): 512 pixels a byte. Channels can be
# sampled so oddly that none has a block for each 8 x 8 pixels; half as many there are always.
_JPEG_PIXELS = 1024
# A lossy WebP's macroblock of 16 x 16 has its modes, at fixed odds: at least 3.4 bits, 600 pixels a byte.
_WEBP_PIXELS = 1024
_RUN_PIXELS = 128  # of a packed BMP: 255 pixels in 2 bytes

_TIFF_RATIOS = {1: 1, 5: _LZW, 8: _DEFLATE, 32946: _DEFLATE, 32773: _PACK_BITS}  # by the number of the compression


def least_jpeg(width: int, height: int, *, arithmetic: bool) -> int:
    """Return bytes that a JPEG has at least."""
    return 0 if arithmetic else width * height // _JPEG_PIXELS


def least_png(width: int, height: int, bits: int) -> int:
    """Return bytes that a PNG has at least; `bits` are those of a pixel."""
    return (height + width * height * bits // 8) // _DEFLATE


def least_webp(width: int, height: int) -> int:
    """Return bytes that a lossy WebP has at least."""
    return width * height // _WEBP_PIXELS


def least_bmp(width: int, height: int, bits: int, packing: int) -> int:
    """Return bytes that a BMP has at least; `packing` is its number for the compression."""
    if packing in (0, 3, 6):  # none, or masks
        return (width * bits + 31) // 32 * 4 * height
    return width * height // _RUN_PIXELS if packing in (1, 2) else 0


def least_tiff(width: int, height: int, bits: int, packing: int) -> int:
    """Return bytes that a TIFF has at least; `bits` are those of a pixel, as far as they are known."""
    ratio = _TIFF_RATIOS.get(packing)
    return 0 if ratio is None else width * height * bits // 8 // ratio
