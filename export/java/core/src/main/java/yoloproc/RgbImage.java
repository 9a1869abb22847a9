package yoloproc;

/**
 * An upright picture of 8 bits a channel.
 *
 * @param width  pixels, at least 1
 * @param height pixels, at least 1
 * @param rgb    height x width x 3 bytes: row by row, red, green, blue; not copied, so do not change it
 */
public record RgbImage(int width, int height, byte[] rgb) {

    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException a side that is less than 1, or an array of another length
     */
    public RgbImage {
        if (width < 1 || height < 1) {
            throw new IllegalArgumentException(
                    "picture: expected sides of at least 1 pixel, found " + width + " x " + height);
        }
        if (rgb.length != 3L * width * height) {
            throw new IllegalArgumentException("picture: expected " + 3L * width * height + " bytes for " + width
                    + " x " + height + " pixels in RGB, found " + rgb.length);
        }
    }

    /**
     * The picture as EXIF wants it to be seen.
     *
     * @param orientation 1 to 8, the number in EXIF; 1 gives this picture
     */
    RgbImage upright(int orientation) {
        if (orientation <= 1 || orientation > 8) {
            return this;
        }
        // Where the upright picture's pixel (0, 0) lies in this one, and the steps to the next pixel and row.
        boolean swapped = orientation >= 5;
        boolean fromRight = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
        boolean fromBelow = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
        int across = (fromRight ? -1 : 1) * 3;
        int down = (fromBelow ? -1 : 1) * 3 * width;
        int start = (fromRight ? (width - 1) * 3 : 0) + (fromBelow ? (height - 1) * 3 * width : 0);
        int newWidth = swapped ? height : width;
        int newHeight = swapped ? width : height;
        int pixelStep = swapped ? down : across;
        int rowStep = swapped ? across : down;
        byte[] turned = new byte[rgb.length];
        int to = 0;
        for (int y = 0; y < newHeight; y++) {
            int from = start + y * rowStep;
            for (int x = 0; x < newWidth; x++, to += 3, from += pixelStep) {
                turned[to] = rgb[from];
                turned[to + 1] = rgb[from + 1];
                turned[to + 2] = rgb[from + 2];
            }
        }
        return new RgbImage(newWidth, newHeight, turned);
    }
}
