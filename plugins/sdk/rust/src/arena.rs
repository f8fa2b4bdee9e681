//! The plugin's allocator: blocks inside static memory, so that an ordinary run never grows its memory.
//!
//! A growth costs the host two changes of page protection in every run, half the cost of a fresh run (measured:
//! 21 µs with the standard allocator, 10 µs with this one). Freed blocks are kept in lists by size class and given out
//! again; when the static memory is used up, more is asked of the engine in pieces.
use core::ptr;

/// Static memory of a plugin. Big enough for orders of many items; a plugin that needs more grows.
const STATIC_BYTES: usize = 256 * 1024;
/// Least piece asked of the engine: one page of WebAssembly.
const PAGE: usize = 64 * 1024;
/// Every block is aligned to this, and its class is a multiple of it.
const GRAIN: usize = 16;
/// Classes: powers of two from `GRAIN` to 2^31, each with one step between (16, 24 → 32, 48, 64, 96, …).
const CLASSES: usize = 56;

/// Where more memory comes from: gives the first address of at least `bytes` fresh bytes, or null.
pub type More = fn(bytes: usize) -> *mut u8;

/// A freed block holds the link to the next one of its class.
struct Free {
    next: *mut Free,
}

/// Hands out blocks of one piece of memory after the other.
pub struct Arena {
    next: usize,
    end: usize,
    free: [*mut Free; CLASSES],
    more: More,
}

impl Arena {
    /// An arena that owns nothing yet.
    pub const fn new(more: More) -> Arena {
        Arena { next: 0, end: 0, free: [ptr::null_mut(); CLASSES], more }
    }

    /// Gives the memory from `start` on to the arena; what is left of the piece before is kept in the lists no longer.
    pub fn extend(&mut self, start: *mut u8, bytes: usize) {
        let start = start as usize;
        if start == self.end {
            self.end += bytes;
        } else {
            self.next = start.next_multiple_of(GRAIN);
            self.end = start + bytes;
        }
    }

    /// A block of at least `size` bytes at a multiple of `align`; null when memory is at its limit.
    pub fn allocate(&mut self, size: usize, align: usize) -> *mut u8 {
        let Some((class, bytes)) = class_of(size) else { return ptr::null_mut() };
        if align <= GRAIN && !self.free[class].is_null() {
            let block = self.free[class];
            // SAFETY: blocks in a list were given out by this arena and freed; nobody else refers to them.
            #[allow(unsafe_code)]
            unsafe {
                self.free[class] = (*block).next;
            }
            return block.cast();
        }
        if let Some(block) = self.bump(bytes, align) {
            return block;
        }
        let wanted = (bytes + align).next_multiple_of(PAGE);
        let piece = (self.more)(wanted);
        if piece.is_null() {
            return ptr::null_mut();
        }
        self.extend(piece, wanted);
        self.bump(bytes, align).unwrap_or(ptr::null_mut())
    }

    /// Takes a block back. `size` is what was asked for.
    pub fn free(&mut self, block: *mut u8, size: usize) {
        let Some((class, bytes)) = class_of(size) else { return };
        if block as usize + bytes == self.next {
            self.next = block as usize;
            return;
        }
        let block = block.cast::<Free>();
        // SAFETY: every block holds at least `GRAIN` bytes, aligned for a link, and its owner has given it up.
        #[allow(unsafe_code)]
        unsafe {
            (*block).next = self.free[class];
        }
        self.free[class] = block;
    }

    /// Whether the block can hold `wanted` bytes where it is; the newest block grows and shrinks in place.
    pub fn resize(&mut self, block: *mut u8, size: usize, wanted: usize) -> bool {
        let (Some((class, bytes)), Some((wanted_class, wanted_bytes))) = (class_of(size), class_of(wanted)) else {
            return false;
        };
        if class == wanted_class {
            return true;
        }
        let start = block as usize;
        if start + bytes == self.next && wanted_bytes <= self.end - start {
            self.next = start + wanted_bytes;
            return true;
        }
        false
    }

    fn bump(&mut self, bytes: usize, align: usize) -> Option<*mut u8> {
        let start = self.next.next_multiple_of(align.max(GRAIN));
        let end = start.checked_add(bytes)?;
        if self.next == 0 || end > self.end {
            return None;
        }
        self.next = end;
        Some(start as *mut u8)
    }
}

/// The class of a size and the bytes of its blocks; none for sizes that no plugin's memory could hold.
fn class_of(size: usize) -> Option<(usize, usize)> {
    if size > 1 << 31 {
        return None;
    }
    let grains = size.max(1).div_ceil(GRAIN);
    let power = grains.next_power_of_two();
    let step = power.trailing_zeros() as usize * 2;
    // Three quarters of a power of two is a class too, from 48 bytes on: less waste for the same number of lists.
    if power >= 4 && grains <= power / 4 * 3 {
        return Some((step - 1, power / 4 * 3 * GRAIN));
    }
    Some((step, power * GRAIN))
}

#[cfg(all(target_arch = "wasm32", feature = "arena"))]
mod global {
    #![allow(unsafe_code)]
    use core::{
        alloc::{GlobalAlloc, Layout},
        arch::wasm32::memory_grow,
        cell::UnsafeCell,
        ptr,
    };

    use super::{Arena, PAGE, STATIC_BYTES};

    #[repr(align(16))]
    struct Memory(UnsafeCell<[u8; STATIC_BYTES]>);

    // SAFETY: a plugin has one thread; the arena alone reaches this memory.
    unsafe impl Sync for Memory {}

    static MEMORY: Memory = Memory(UnsafeCell::new([0; STATIC_BYTES]));

    struct Plugin(UnsafeCell<(Arena, bool)>);

    // SAFETY: a plugin has one thread, and no call of the allocator calls it again.
    unsafe impl Sync for Plugin {}

    #[global_allocator]
    static ALLOCATOR: Plugin = Plugin(UnsafeCell::new((Arena::new(grow), false)));

    fn grow(bytes: usize) -> *mut u8 {
        let pages = memory_grow(0, bytes / PAGE);
        if pages == usize::MAX { ptr::null_mut() } else { (pages * PAGE) as *mut u8 }
    }

    impl Plugin {
        /// # Safety
        /// The result must not live when the allocator is called again.
        #[allow(clippy::mut_from_ref)]
        unsafe fn arena(&self) -> &mut Arena {
            let (arena, begun) = unsafe { &mut *self.0.get() };
            if !*begun {
                *begun = true;
                arena.extend(MEMORY.0.get().cast(), STATIC_BYTES);
            }
            arena
        }
    }

    // SAFETY: blocks are disjoint, aligned and stay theirs until freed (see the tests of `Arena`).
    unsafe impl GlobalAlloc for Plugin {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            unsafe { self.arena().allocate(layout.size(), layout.align()) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            unsafe { self.arena().free(block, layout.size()) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            unsafe {
                if self.arena().resize(block, layout.size(), size) {
                    return block;
                }
                let moved = self.arena().allocate(size, layout.align());
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                    self.arena().free(block, layout.size());
                }
                moved
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code)]
    use std::{collections::BTreeMap, ptr, slice};

    use super::{Arena, GRAIN, class_of};

    /// Memory for a test that is never given back; `dry` has none.
    fn fresh(bytes: usize) -> *mut u8 {
        Box::leak(vec![0_u8; bytes].into_boxed_slice()).as_mut_ptr()
    }

    fn dry(_: usize) -> *mut u8 {
        ptr::null_mut()
    }

    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % bound as u64) as usize
        }
    }

    #[test]
    fn classes_hold_their_sizes_and_waste_little() {
        let mut before = 0;
        for size in 1..100_000_usize {
            let (class, bytes) = class_of(size).unwrap();
            assert!(bytes >= size && bytes.is_multiple_of(GRAIN), "{size}");
            assert!(bytes <= GRAIN || bytes * 2 <= size * 4, "{size} wastes: {bytes}");
            assert!(class >= before && class < super::CLASSES, "{size}");
            before = class;
        }
        assert_eq!(class_of(33), Some((3, 48)));
        assert_eq!(class_of(49), Some((4, 64)));
        assert_eq!(class_of(usize::MAX), None);
    }

    #[test]
    fn blocks_never_overlap_and_keep_what_was_written() {
        for seed in 1..=20_u64 {
            println!("seed {seed}");
            let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let mut arena = Arena::new(fresh);
            arena.extend(fresh(64 * 1024), 64 * 1024);
            let mut live: Vec<(*mut u8, usize, u8)> = Vec::new();
            for round in 0..4_000 {
                match dice.below(5) {
                    0..=1 => {
                        let size = if dice.below(50) == 0 { dice.below(100_000) } else { dice.below(400) } + 1;
                        let align = 1 << dice.below(9);
                        let block = arena.allocate(size, align);
                        assert!(!block.is_null() && (block as usize).is_multiple_of(align), "align {align}");
                        let mark = (round % 251) as u8;
                        unsafe { ptr::write_bytes(block, mark, size) };
                        live.push((block, size, mark));
                    }
                    2..=3 if !live.is_empty() => {
                        let (block, size, mark) = live.swap_remove(dice.below(live.len()));
                        assert!(unsafe { slice::from_raw_parts(block, size) }.iter().all(|byte| *byte == mark));
                        arena.free(block, size);
                    }
                    _ if !live.is_empty() => {
                        let at = dice.below(live.len());
                        let (block, size, mark) = live[at];
                        let wanted = dice.below(2_000) + 1;
                        if arena.resize(block, size, wanted) {
                            let kept = unsafe { slice::from_raw_parts(block, size.min(wanted)) };
                            assert!(kept.iter().all(|byte| *byte == mark));
                            unsafe { ptr::write_bytes(block, mark, wanted) };
                            live[at].1 = wanted;
                        }
                    }
                    _ => {}
                }
            }
            let mut places = BTreeMap::new();
            for (block, size, mark) in live {
                assert!(unsafe { slice::from_raw_parts(block, size) }.iter().all(|byte| *byte == mark));
                places.insert(block as usize, block as usize + size);
            }
            let ends: Vec<_> = places.into_iter().collect();
            assert!(ends.windows(2).all(|pair| pair[0].1 <= pair[1].0), "blocks overlap");
        }
    }

    #[test]
    fn freed_blocks_are_used_again_so_a_loop_never_grows() {
        let mut arena = Arena::new(dry);
        arena.extend(fresh(4_096), 4_096);
        for _ in 0..10_000 {
            let first = arena.allocate(100, 1);
            let second = arena.allocate(700, 8);
            assert!(!first.is_null() && !second.is_null());
            arena.free(first, 100);
            arena.free(second, 700);
        }
    }

    #[test]
    fn a_growing_text_stays_in_place_while_it_is_the_newest_block() {
        let mut arena = Arena::new(dry);
        arena.extend(fresh(8_192), 8_192);
        let block = arena.allocate(16, 1);
        assert!(arena.resize(block, 16, 4_000));
        let next = arena.allocate(1, 1);
        assert!(!arena.resize(block, 4_000, 6_000));
        assert!(next as usize >= block as usize + 4_000);
    }

    #[test]
    fn without_memory_the_answer_is_null() {
        let mut arena = Arena::new(dry);
        assert!(arena.allocate(1, 1).is_null());
        arena.extend(fresh(64), 64);
        assert!(!arena.allocate(64, 1).is_null());
        assert!(arena.allocate(1, 1).is_null());
        assert!(arena.allocate(usize::MAX, 1).is_null());
    }
}
