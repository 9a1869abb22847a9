package yoloproc;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Map;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;

/**
 * The memory of one run, used again and again: tensors over direct buffers, which the runtime reads and writes in place.
 * Not thread-safe.
 */
final class Buffers implements AutoCloseable {

    /** One letterboxed picture, height x width x 3; any content between uses. */
    final byte[] frame;

    /** What the network gave: N x slots x (5 + C), or N x C of a classifier. */
    final float[] outputs;

    final Map<String, OnnxTensor> in;
    final Map<String, OnnxTensor> out;

    private final ModelSpec.Input input;
    private final ByteBuffer bytes; // of the input, if they are bytes
    private final FloatBuffer floats; // of the input, if they are not
    private final FloatBuffer results;
    private final float[] levels; // what becomes of 0 to 255
    private final int length; // bytes of one picture

    /**
     * Reserves memory.
     *
     * @param pictures N, of every run
     */
    Buffers(OrtEnvironment environment, ModelSpec spec, int pictures) throws OrtException {
        input = spec.input();
        length = Math.multiplyExact(input.width() * input.height(), 3);
        frame = new byte[length];
        outputs = new float[Math.multiplyExact(pictures, spec.outputValues())];
        int values = Math.multiplyExact(pictures, length);
        OnnxTensor given;
        if (input.type() == ModelSpec.Type.UINT8) {
            bytes = direct(values);
            floats = null;
            levels = null;
            given = OnnxTensor.createTensor(environment, bytes, input.shape(pictures), OnnxJavaType.UINT8);
        } else {
            bytes = null;
            floats = direct(Math.multiplyExact(values, Float.BYTES)).asFloatBuffer();
            levels = levels(input);
            given = OnnxTensor.createTensor(environment, floats, input.shape(pictures));
        }
        results = direct(Math.multiplyExact(outputs.length, Float.BYTES)).asFloatBuffer();
        in = Map.of(input.name(), given);
        try {
            out = Map.of(spec.output().name(),
                    OnnxTensor.createTensor(environment, results, spec.outputShape(pictures)));
        } catch (OrtException | RuntimeException error) {
            given.close();
            throw error;
        }
    }

    private static ByteBuffer direct(int length) {
        return ByteBuffer.allocateDirect(length).order(ByteOrder.nativeOrder());
    }

    /** In single precision, as Python does it, so that both languages give the network equal numbers. */
    private static float[] levels(ModelSpec.Input input) {
        float[] levels = new float[256];
        float step = (float) ((input.high() - input.low()) / 255);
        for (int level = 0; level < levels.length; level++) {
            levels[level] = level * step + (float) input.low();
        }
        return levels;
    }

    /**
     * Makes a letterboxed picture the network's input.
     *
     * @param number of the picture, 0 to N - 1
     * @param from   height x width x 3 bytes ...
     * @param at     ... from here on
     */
    void put(int number, byte[] from, int at) {
        int to = number * length;
        if (bytes != null && input.layout() == ModelSpec.Layout.NHWC) {
            bytes.put(to, from, at, length);
            return;
        }
        boolean planes = input.layout() == ModelSpec.Layout.NCHW;
        int pixels = length / 3;
        int step = planes ? 1 : 3;
        for (int channel = 0; channel < 3; channel++) {
            int place = to + (planes ? channel * pixels : channel);
            for (int i = at + channel; i < at + length; i += 3, place += step) {
                if (floats == null) {
                    bytes.put(place, from[i]);
                } else {
                    floats.put(place, levels[from[i] & 255]);
                }
            }
        }
    }

    /** Takes the outputs of a run out of the runtime's memory. */
    void take() {
        results.get(0, outputs);
    }

    @Override
    public void close() {
        in.values().forEach(OnnxTensor::close);
        out.values().forEach(OnnxTensor::close);
    }
}
