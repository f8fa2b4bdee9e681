// Math.random from the attempt's seed; the engine's own would give every run the same numbers.
import { next } from "fangshi:host/random@0.1.0";

// Two numbers of 31 bits: 53 of their bits as a fraction.
Math.random = () => ((next() >>> 4) * 67108864 + (next() >>> 5)) / 9007199254740992;
