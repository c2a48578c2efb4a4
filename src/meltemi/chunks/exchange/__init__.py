"""What regions exchange: formats, and the difference of images (docs/exchange.md). No I/O."""
