package yoloproc.cli;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

import javax.imageio.ImageIO;

import yoloproc.Detection;
import yoloproc.Pictures;
import yoloproc.RgbImage;
import yoloproc.Scredit;

/** A project of the scredit editor: the pictures in a folder, their scripts in {@code annotations} beside them. */
final class ScreditProject {

    private final Path folder;

    ScreditProject(Path folder) throws Mistake {
        if (Files.exists(folder) && !Files.isDirectory(folder)) {
            throw new Mistake("--scredit " + folder + ": expected a folder, found a file");
        }
        this.folder = folder;
    }

    /** Writes the script of a picture, and the picture unless it is there. A script that is there stays. */
    void write(Path source, RgbImage picture, List<Detection> found) throws IOException, Mistake {
        byte[] stored = Files.readAllBytes(source);
        boolean plain = isPlain(source, stored, picture);
        String name = source.getFileName().toString();
        Path target = folder.resolve(plain ? name : DrawnPictures.stem(source) + ".png");
        Path script;
        try {
            script = Scredit.scriptOf(target);
        } catch (IllegalArgumentException error) {
            throw new Mistake(error.getMessage());
        }
        if (Files.exists(script)) {
            throw new Mistake(script + ": expected no script yet, found one, which may be the work of a person; name "
                    + "another folder, or remove it");
        }
        Files.createDirectories(script.toAbsolutePath().getParent());
        if (!Files.exists(target)) {
            Files.write(target, plain ? stored : DrawnPictures.png(picture));
        } else if (!plain || !Arrays.equals(Files.readAllBytes(target), stored)) {
            throw new Mistake(target + ": expected no picture of this name yet, found another one");
        }
        Files.write(script, Scredit.write(found, picture.width(), picture.height()));
    }

    /** Whether the editor sees the file as it was seen here: it opens few kinds, and knows nothing of EXIF. */
    private static boolean isPlain(Path source, byte[] stored, RgbImage picture) {
        String name = source.getFileName().toString().toLowerCase(Locale.ROOT);
        if (!name.endsWith(".jpg") && !name.endsWith(".jpeg") && !name.endsWith(".png")) {
            return false;
        }
        try {
            RgbImage asStored = Pictures.of(ImageIO.read(new ByteArrayInputStream(stored)));
            return asStored.width() == picture.width() && Arrays.equals(asStored.rgb(), picture.rgb());
        } catch (IOException | RuntimeException error) {
            return false; // a kind that only our reader knows
        }
    }
}
