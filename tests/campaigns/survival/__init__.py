"""Campaigns whose processes are killed, stopped and disturbed, and the emulator's own record."""
