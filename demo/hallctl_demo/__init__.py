"""A hall's day in a minute: the real daemon and a broker, with the devices simulated on real transports.

Not part of the installed package: ``scripts/demo`` runs it from a checkout.
"""
