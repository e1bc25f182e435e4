mod channels;
mod terminal;
