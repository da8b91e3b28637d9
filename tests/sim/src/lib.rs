//! A seeded simulator and a naive model.
