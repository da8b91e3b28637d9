//! Locks that are held for a few steps.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, for a few steps that cannot fail. A panic of another thread is no hindrance: what it left behind is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
