"""The world as others use it: USD for Isaac Sim, MJCF and URDF, and the engines that prove them.

    sim_bridge.usd       a scene as a USD stage, and back; checks
    sim_bridge.engines   PhysX, Newton, MuJoCo and our own dynamics on the same stage, each in a process of its own
    sim_bridge.cli       the verbs export, import, check, verify
"""
