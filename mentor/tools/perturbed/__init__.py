"""Perturbed worlds: any toolset shown in another form, whose calls are run by the same tools as before."""
