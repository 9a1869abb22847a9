package yoloproc;

import java.util.Arrays;

/**
 * Rule 1: how a picture of any size is fitted into the network's frame, and boxes back again. Lengths are in pixels.
 *
 * <p>Picture w x h into W x H: r = min(W / w, H / h); nw = clamp(floor(w * r + 0.5), 1, W), nh alike;
 * left = (W - nw) div 2, top = (H - nh) div 2; what remains is filled with RGB 114. The resampling is antialiased
 * bilinear: integer weights of 22 bits, a horizontal pass, then a vertical one, 8 bits between. Python has the same
 * rule, byte for byte.
 *
 * @param pictureWidth  width of the picture, w
 * @param pictureHeight height of the picture, h
 * @param width         width of the frame, W
 * @param height        height of the frame, H
 * @param r             the factor, min(W / w, H / h)
 * @param nw            width of the picture inside the frame
 * @param nh            height of the picture inside the frame
 * @param left          where the picture begins in the frame
 * @param top           where the picture begins in the frame
 */
public record Letterbox(int pictureWidth, int pictureHeight, int width, int height, double r, int nw, int nh, int left,
        int top) {

    /** The grey around the picture, in all three channels. */
    public static final int PAD = 114;

    private static final int BITS = 22; // of the weights

    /**
     * The letterbox of a picture in a frame.
     *
     * @throws IllegalArgumentException a side that is less than 1
     */
    public static Letterbox of(int pictureWidth, int pictureHeight, int width, int height) {
        if (Math.min(Math.min(pictureWidth, pictureHeight), Math.min(width, height)) < 1) {
            throw new IllegalArgumentException("letterbox: expected sides of at least 1 pixel, found a picture of "
                    + pictureWidth + " x " + pictureHeight + " and a frame of " + width + " x " + height);
        }
        double r = Math.min(width / (double) pictureWidth, height / (double) pictureHeight);
        int nw = (int) Math.min(Math.max(Math.floor(pictureWidth * r + 0.5), 1), width);
        int nh = (int) Math.min(Math.max(Math.floor(pictureHeight * r + 0.5), 1), height);
        return new Letterbox(pictureWidth, pictureHeight, width, height, r, nw, nh, (width - nw) / 2,
                (height - nh) / 2);
    }

    /**
     * The picture inside its frame.
     *
     * @param rgb h x w x 3 bytes
     * @return H x W x 3 bytes, new
     * @throws IllegalArgumentException an array of another length
     */
    public byte[] apply(byte[] rgb) {
        byte[] frame = new byte[Math.multiplyExact(Math.multiplyExact(width, height), 3)];
        apply(rgb, frame);
        return frame;
    }

    /**
     * The picture inside its frame, written over another.
     *
     * @param rgb   h x w x 3 bytes
     * @param frame H x W x 3 bytes, all of which are written
     * @throws IllegalArgumentException an array of another length
     */
    public void apply(byte[] rgb, byte[] frame) {
        if (rgb.length != 3L * pictureWidth * pictureHeight || frame.length != 3L * width * height) {
            throw new IllegalArgumentException("letterbox: expected " + 3L * pictureWidth * pictureHeight
                    + " bytes for a frame of " + 3L * width * height + ", found " + rgb.length + " and "
                    + frame.length);
        }
        if (nw < width || nh < height) {
            Arrays.fill(frame, (byte) PAD);
        }
        byte[] rows = nw == pictureWidth ? rgb : across(rgb); // at its own size every weight is 0 or 1
        if (nh == pictureHeight) {
            for (int y = 0; y < nh; y++) {
                System.arraycopy(rows, y * nw * 3, frame, ((top + y) * width + left) * 3, nw * 3);
            }
        } else {
            down(rows, frame);
        }
    }

    /** The horizontal pass: h x w x 3 to h x nw x 3. */
    private byte[] across(byte[] rgb) {
        Weights weights = Weights.of(pictureWidth, nw);
        byte[] out = new byte[pictureHeight * nw * 3];
        for (int y = 0; y < pictureHeight; y++) {
            row(rgb, y * pictureWidth * 3, weights, out, y * nw * 3);
        }
        return out;
    }

    /** One row of the horizontal pass; a method of its own, so that the compiler treats it as one. */
    private static void row(byte[] rgb, int from, Weights weights, byte[] out, int to) {
        int[] q = weights.q;
        for (int x = 0; x < weights.first.length; x++, to += 3) {
            int at = from + 3 * weights.first[x];
            int weight = x * weights.most;
            int end = weight + weights.count[x];
            int red = 1 << BITS - 1;
            int green = red;
            int blue = red;
            for (; weight < end; weight++, at += 3) {
                red += q[weight] * (rgb[at] & 255);
                green += q[weight] * (rgb[at + 1] & 255);
                blue += q[weight] * (rgb[at + 2] & 255);
            }
            out[to] = (byte) Math.min(red >> BITS, 255);
            out[to + 1] = (byte) Math.min(green >> BITS, 255);
            out[to + 2] = (byte) Math.min(blue >> BITS, 255);
        }
    }

    /** The vertical pass: h x nw x 3 to nh x nw x 3, at its place in the frame. */
    private void down(byte[] rows, byte[] frame) {
        Weights weights = Weights.of(pictureHeight, nh);
        int length = nw * 3;
        int[] sums = new int[length];
        for (int y = 0; y < nh; y++) {
            Arrays.fill(sums, 1 << BITS - 1);
            for (int i = 0; i < weights.count[y]; i++) {
                add(rows, (weights.first[y] + i) * length, weights.q[y * weights.most + i], sums);
            }
            int to = ((top + y) * width + left) * 3;
            for (int x = 0; x < length; x++) {
                frame[to + x] = (byte) Math.min(sums[x] >> BITS, 255);
            }
        }
    }

    private static void add(byte[] rows, int from, int weight, int[] sums) {
        for (int x = 0; x < sums.length; x++) {
            sums[x] += weight * (rows[from + x] & 255);
        }
    }

    /**
     * Boxes from picture pixels to frame pixels.
     *
     * @param boxesXyxy n x 4, x0, y0, x1, y1
     * @return n x 4, new
     */
    public double[] boxesToNetwork(double[] boxesXyxy) {
        checkBoxes(boxesXyxy);
        double[] out = new double[boxesXyxy.length];
        for (int i = 0; i < out.length; i += 2) {
            // Multiplied before it is divided, so that a picture's corner lands on a whole pixel.
            out[i] = boxesXyxy[i] * nw / pictureWidth + left;
            out[i + 1] = boxesXyxy[i + 1] * nh / pictureHeight + top;
        }
        return out;
    }

    /**
     * Boxes from frame pixels to picture pixels, clipped to the picture.
     *
     * @param boxesXyxy n x 4, x0, y0, x1, y1
     * @return n x 4, new
     */
    public double[] boxesToPicture(double[] boxesXyxy) {
        checkBoxes(boxesXyxy);
        double[] out = new double[boxesXyxy.length];
        for (int i = 0; i < out.length; i += 2) {
            out[i] = Math.min(Math.max((boxesXyxy[i] - left) * pictureWidth / nw, 0), pictureWidth);
            out[i + 1] = Math.min(Math.max((boxesXyxy[i + 1] - top) * pictureHeight / nh, 0), pictureHeight);
        }
        return out;
    }

    private static void checkBoxes(double[] boxesXyxy) {
        if (boxesXyxy.length % 4 != 0) {
            throw new IllegalArgumentException(
                    "letterbox: expected n x 4 coordinates, found " + boxesXyxy.length);
        }
    }

    /**
     * The weights of one pass.
     *
     * @param first out: the first pixel of each
     * @param count out: how many pixels
     * @param most  the largest count
     * @param q     out x most: the weights, times 2^22
     */
    private record Weights(int[] first, int[] count, int most, int[] q) {

        static Weights of(int in, int out) {
            double scale = (double) in / out;
            double support = Math.max(scale, 1);
            double inverse = 1 / support;
            int most = (int) Math.ceil(support) * 2 + 1;
            Weights found = new Weights(new int[out], new int[out], most, new int[Math.multiplyExact(out, most)]);
            double[] weights = new double[most];
            for (int i = 0; i < out; i++) {
                double centre = (i + 0.5) * scale;
                int low = Math.max(0, (int) (centre - support + 0.5));
                int count = Math.min(in, (int) (centre + support + 0.5)) - low;
                double sum = 0;
                for (int j = 0; j < count; j++) {
                    weights[j] = Math.max(0, 1 - Math.abs((j + low - centre + 0.5) * inverse));
                    sum += weights[j];
                }
                found.first[i] = low;
                found.count[i] = count;
                for (int j = 0; j < count; j++) {
                    found.q[i * most + j] = (int) (weights[j] / sum * (1 << BITS) + 0.5);
                }
            }
            return found;
        }
    }
}
