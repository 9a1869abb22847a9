package yoloproc;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/** The models of the tests, see make_models.py, and pictures for them. */
final class Models {

    private Models() {
    }

    /** The bytes of a model. */
    static byte[] bytes(String name) throws IOException {
        try (InputStream stream = Models.class.getResourceAsStream("/models/" + name + ".onnx")) {
            return stream.readAllBytes();
        }
    }

    /** The detector of a model, on one thread. */
    static Detector load(String name) throws IOException {
        return Detector.load(bytes(name), Options.DEFAULT.threads(1));
    }

    /** A black picture. */
    static RgbImage black(int width, int height) {
        return new RgbImage(width, height, new byte[3 * width * height]);
    }

    /** A copy with a rectangle of one colour, 0xRRGGBB. */
    static RgbImage with(RgbImage picture, int x0, int y0, int x1, int y1, int colour) {
        byte[] rgb = Arrays.copyOf(picture.rgb(), picture.rgb().length);
        for (int y = y0; y < y1; y++) {
            for (int x = x0; x < x1; x++) {
                int at = (y * picture.width() + x) * 3;
                rgb[at] = (byte) (colour >> 16);
                rgb[at + 1] = (byte) (colour >> 8);
                rgb[at + 2] = (byte) colour;
            }
        }
        return new RgbImage(picture.width(), picture.height(), rgb);
    }

    /** Red above on the right, blue below on the left: 32 x 32, the networks' own size. */
    static RgbImage redAndBlue() {
        return with(with(black(32, 32), 16, 0, 32, 16, 0xff0000), 0, 16, 16, 32, 0x0000ff);
    }
}
