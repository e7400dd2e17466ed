mod attacks;
mod oracles;
mod support;
mod writer;
