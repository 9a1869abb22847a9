"""The letterbox's rule 1 as it is written down, in plain loops."""

import numpy as np


def resize_by_rule(image, width, height):
    """Rule 1's resampling as it is written down: plain loops over the outputs, integers inside."""

    def one_pass(rows, size):  # (in, X) uint8 -> (size, X) uint8
        count = len(rows)
        s = count / size
        f = max(s, 1.0)
        out = np.empty((size, rows.shape[1]), dtype=np.uint8)
        for i in range(size):
            c = (i + 0.5) * s
            lo, hi = max(0, int(c - f + 0.5)), min(count, int(c + f + 0.5))
            weights = [max(0.0, 1 - abs((j - c + 0.5) * (1 / f))) for j in range(lo, hi)]
            total = sum(weights)
            q = np.array([int(weight / total * 2**22 + 0.5) for weight in weights], dtype=np.int64)
            out[i] = np.clip(((q[:, None] * rows[lo:hi]).sum(0) + 2**21) >> 22, 0, 255)
        return out

    h, w = image.shape[:2]
    across = one_pass(image.transpose(1, 0, 2).reshape(w, -1), width).reshape(width, h, 3).transpose(1, 0, 2)
    return one_pass(across.reshape(h, -1), height).reshape(height, width, 3)


def apply_by_rule(image, width, height):
    h, w = image.shape[:2]
    r = min(width / w, height / h)
    nw = min(max(int(np.floor(w * r + 0.5)), 1), width)
    nh = min(max(int(np.floor(h * r + 0.5)), 1), height)
    frame = np.full((height, width, 3), 114, dtype=np.uint8)
    left, top = (width - nw) // 2, (height - nh) // 2
    frame[top : top + nh, left : left + nw] = resize_by_rule(image, nw, nh)
    return frame
