//! Canisters written as text, run to their end; every rule with each way of tracking writes.

mod floats;
mod harness;
mod lane;
mod limits;
mod modules;
mod pages;
mod persistence;
mod slices;
mod snapshots;
mod system;
mod traps;
mod waits;
mod waking;
