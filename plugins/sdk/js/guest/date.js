// Date tells the run's time, which stands still during an attempt.
import { millisecond, now } from "fangshi:host/clock@0.1.0";

const System = globalThis.Date;
const current = () => now() * 1000 + millisecond();

function RunDate(...members) {
  if (new.target === undefined) return new System(current()).toString();
  return Reflect.construct(System, members.length === 0 ? [current()] : members, new.target);
}

RunDate.prototype = System.prototype;
RunDate.prototype.constructor = RunDate;
RunDate.now = current;
RunDate.parse = System.parse;
RunDate.UTC = System.UTC;
globalThis.Date = RunDate;
