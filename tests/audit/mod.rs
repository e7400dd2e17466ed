mod attacks;
mod golden;
mod oracles;
mod support;
mod writer;
