//! Layer rules as tests.
