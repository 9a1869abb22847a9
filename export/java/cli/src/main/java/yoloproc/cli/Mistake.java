package yoloproc.cli;

/** A mistake of the user: one line, and exit code 2. */
final class Mistake extends Exception {

    private static final long serialVersionUID = 1;

    Mistake(String message) {
        super(message);
    }
}
