"""From prompts to generations: signals, temperature, noise, draw and the loop around the model."""
