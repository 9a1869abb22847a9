package yoloproc.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

import javax.imageio.ImageIO;

import yoloproc.Pictures;
import yoloproc.RgbImage;

/** Where annotated pictures go: one file, or a folder of PNG files. */
final class DrawnPictures {

    private final Path place;
    private final boolean file;
    private final Map<Path, Path> written = new HashMap<>();

    private DrawnPictures(Path place, boolean file) {
        this.place = place;
        this.file = file;
    }

    /**
     * A place.
     *
     * @param one whether there is one picture, so that a file will do
     */
    static DrawnPictures at(Path place, boolean one) throws Mistake {
        String name = String.valueOf(place.getFileName()).toLowerCase(Locale.ROOT);
        boolean file = !Files.isDirectory(place) && name.endsWith(".png");
        if (file && !one) {
            throw new Mistake("--annotated " + place + ": expected a folder for several pictures, found a file's name");
        }
        if (!file && (Files.isRegularFile(place) || name.endsWith(".jpg") || name.endsWith(".jpeg"))) {
            throw new Mistake("--annotated " + place + ": expected a name that ends with .png, or a folder");
        }
        return new DrawnPictures(place, file);
    }

    /** Writes an annotated picture. */
    void write(Path source, RgbImage picture) throws IOException, Mistake {
        Path target = file ? place : place.resolve(stem(source) + ".png");
        if (Files.exists(target) && Files.isSameFile(target, source)) {
            throw new Mistake("--annotated " + target + ": expected another place than the picture's own");
        }
        Path before = written.put(target, source);
        if (before != null) {
            throw new Mistake(source + ": expected a name of its own in " + place + ", found that of " + before);
        }
        Path folder = target.toAbsolutePath().getParent();
        Files.createDirectories(folder);
        Files.write(target, png(picture));
    }

    static String stem(Path picture) {
        String name = picture.getFileName().toString();
        int dot = name.lastIndexOf('.');
        return dot > 0 ? name.substring(0, dot) : name;
    }

    static byte[] png(RgbImage picture) throws IOException {
        ImageIO.setUseCache(false);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        if (!ImageIO.write(Pictures.toBufferedImage(picture), "png", bytes)) {
            throw new IOException("expected a JDK that writes PNG, found one that does not");
        }
        return bytes.toByteArray();
    }
}
