"""A second real chemistry for Athanor, through its public interfaces alone: lipid nanoparticles by microfluidic mixing."""
