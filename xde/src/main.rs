//! The Linux host driver.

fn main() {}
