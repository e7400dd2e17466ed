mod attacks;
#[cfg(feature = "crash-points")]
mod crash;
mod golden;
mod oracles;
mod support;
mod writer;
