package yoloproc.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * The pictures that a command is given.
 *
 * @param files   in the order of the words, those of a folder by name
 * @param folders whether a folder was among the words
 */
record PictureFiles(List<Path> files, boolean folders) {

    private static final List<String> SUFFIXES = List.of(".jpg", ".jpeg", ".png", ".bmp");

    /**
     * The pictures among a command's words, of which the first is a model.
     *
     * @throws Mistake no model, no pictures, or a folder without any
     */
    static PictureFiles behindModel(String command, List<String> words) throws Mistake, IOException {
        if (words.size() < 2) {
            throw new Mistake(command + ": expected a model and pictures or folders, found "
                    + (words.isEmpty() ? "neither" : "no pictures") + "; see --help");
        }
        List<Path> files = new ArrayList<>();
        boolean folders = false;
        for (String word : words.subList(1, words.size())) {
            folders |= add(Arguments.path("", word), files);
        }
        return new PictureFiles(List.copyOf(files), folders);
    }

    /** Whether one picture was named, so that one file will do for what is made of it. */
    boolean isOne() {
        return files.size() == 1 && !folders;
    }

    /** Adds a picture, or those that lie in a folder, by name; whether it is a folder. */
    private static boolean add(Path path, List<Path> files) throws Mistake, IOException {
        if (!Files.isDirectory(path)) {
            files.add(path);
            return false;
        }
        List<Path> inside;
        try (Stream<Path> all = Files.list(path)) {
            inside = all.filter(PictureFiles::isPicture).sorted().toList();
        }
        if (inside.isEmpty()) {
            throw new Mistake(path + ": expected pictures in the folder (" + String.join(", ", SUFFIXES)
                    + "), found none; folders inside are not searched");
        }
        files.addAll(inside);
        return true;
    }

    private static boolean isPicture(Path file) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        return SUFFIXES.stream().anyMatch(name::endsWith) && !name.startsWith(".") && Files.isRegularFile(file);
    }
}
