package yoloproc;

import java.nio.file.Path;

/** Where the files lie that other languages test with too. */
final class TestFiles {

    private TestFiles() {
    }

    /** The golden vectors. */
    static Path vectors() {
        return module().resolve("../../vectors/v1").normalize();
    }

    /** The golden scripts. */
    static Path scripts() {
        return module().resolve("../../../tests/golden/scredit").normalize();
    }

    /** This module's folder, which Maven names. */
    static Path module() {
        return Path.of(System.getProperty("basedir", ".")).toAbsolutePath();
    }
}
