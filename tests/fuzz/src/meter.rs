//! The bound on memory: an allocator that counts live bytes and their peak.

use kerros_protocol::eddsa::{Point, PrivateKey};
use kerros_protocol::poseidon;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn grown(by: usize) {
    let live = LIVE.fetch_add(by, Relaxed) + by;
    PEAK.fetch_max(live, Relaxed);
}

// Safety: every call goes to the system's allocator unchanged; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let place = unsafe { System.alloc(layout) };
        if !place.is_null() {
            grown(layout.size());
        }
        place
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let place = unsafe { System.alloc_zeroed(layout) };
        if !place.is_null() {
            grown(layout.size());
        }
        place
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) };
        LIVE.fetch_sub(layout.size(), Relaxed);
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let moved = unsafe { System.realloc(place, layout, size) };
        if !moved.is_null() {
            grown(size);
            LIVE.fetch_sub(layout.size(), Relaxed);
        }
        moved
    }
}

static TABLES: Once = Once::new();

/// What is computed once a process is not the input's.
fn tables() {
    let key = PrivateKey::from_bytes([1; 32]).public_key().0;
    assert_eq!(Point::unpack(&key.pack()), Ok(key));
    key.has_low_order();
    poseidon::hash(&[key.x]);
}

/// Runs `work` on `input` and requires that the process held at most `fixed + factor · length` bytes
/// more meanwhile, other threads included.
#[track_caller]
pub fn bounded<T>(input: &[u8], fixed: usize, factor: usize, work: impl FnOnce(&[u8]) -> T) -> T {
    TABLES.call_once(tables);
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work(input);
    let used = PEAK.load(Relaxed).saturating_sub(before);
    let bound = fixed + factor * input.len();
    assert!(used <= bound, "{} bytes of input took {used} bytes, bound {bound}", input.len());
    result
}
