package yoloproc;

/**
 * What a picture may cost: limits by the formats' own arithmetic, so that no honest file meets them. The reasons stand in
 * Python's {@code picture_costs.py}, whose numbers these are.
 */
final class PictureCosts {

    /** Of a JPEG: each costs a pass over all pixels, and may have 20 bytes. */
    static final int MAX_SCANS = 100;

    private static final int DEFLATE = 1032;
    private static final int JPEG_PIXELS = 1024; // a byte

    private PictureCosts() {
    }

    /** Bytes that a JPEG has at least. */
    static long leastJpeg(long width, long height, boolean arithmetic) {
        return arithmetic ? 0 : width * height / JPEG_PIXELS;
    }

    /** Bytes that a PNG has at least; {@code bits} are those of a pixel. */
    static long leastPng(long width, long height, int bits) {
        return (height + width * height * bits / 8) / DEFLATE;
    }

    /** Bytes that a BMP has at least, if it is not packed. */
    static long leastBmp(long width, long height, int bits) {
        return (width * bits + 31) / 32 * 4 * height;
    }
}
