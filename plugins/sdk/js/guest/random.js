// Math.random from the attempt's seed; the engine's own would give every run the same numbers.
import { next } from "fangshi:host/random@0.1.0";

// The low 27 and 26 bits of two numbers: 53 bits as a fraction.
Math.random = () => ((next() & 0x7ffffff) * 67108864 + (next() & 0x3ffffff)) / 9007199254740992;
