"""Simulated devices that are declared: a feeder of registers and one of nodes. Both dose 1 mL in a lab second and count."""

from asyncua import ua

from athanor.devices import Body


class Feeder(Body):
    """Doses, counts what it gave, and has a speed that is only a number."""

    starts = 0

    def switch_on(self):
        self.starts += 1
        self.given = self.left = self.speed = 0.0

    def advance(self, lab_s):
        moved = min(self.left, lab_s - self.lab_s)
        self.given, self.left = self.given + moved, self.left - moved
        if self.left < 1e-9:
            self.left = 0.0

    def dose(self, volume):
        self.left = volume
        self.log("dose", volume_ml=volume)

    def describe(self):
        return {"given_ml": self.given, "left_ml": self.left, "speed": self.speed}


class RegisterFeeder(Feeder):
    """1 boot, 2 speed in tenths, 10 dose in hundredths of a mL, 11 given in thousandths, 12 busy."""

    @property
    def registers(self):
        return {1: self.starts, 2: round(10 * self.speed), 10: 0, 11: round(1000 * self.given), 12: int(self.left > 0)}

    def write(self, register, word):
        if register == 2 and word <= 1000:
            self.speed = word / 10
            self.log("setpoint", speed=self.speed)
            return True
        if register == 10 and not (self.left and word):
            self.left = 0.0
            if word:
                self.dose(word / 100)
            return True
        return False


class NodeFeeder(Feeder):
    """The same as nodes, doses by a method."""

    async def build(self, server):
        index = await server.register_namespace("urn:feeder")
        feeder = await server.nodes.objects.add_object(index, "Feeder")
        self.nodes = {}
        for name, value in (("Boot", "1"), ("Speed", 0.0), ("Given", 0.0), ("Busy", 0)):
            self.nodes[name] = await feeder.add_variable(index, name, value)
        for name, method in (("Dose", self.on_dose), ("SetSpeed", self.on_speed)):
            argument = ua.Argument(Name="Value", DataType=ua.NodeId(ua.ObjectIds.Double), ValueRank=-1)
            await feeder.add_method(index, name, method, [argument], [])
        await feeder.add_method(index, "Stop", self.on_stop, [], [])

    async def on_dose(self, parent, volume):
        self.catch_up()
        if self.left:
            return ua.StatusCode(ua.StatusCodes.BadInvalidState)
        self.dose(volume.Value)
        await self.show()
        return []

    async def on_speed(self, parent, speed):
        self.catch_up()
        self.speed = speed.Value
        self.log("setpoint", speed=self.speed)
        await self.show()
        return []

    async def on_stop(self, parent):
        self.catch_up()
        self.left = 0.0
        await self.show()
        return []

    async def show(self):
        self.catch_up()
        for name, value in (("Boot", str(self.starts)), ("Speed", self.speed), ("Given", self.given), ("Busy", int(self.left > 0))):
            await self.nodes[name].write_value(value)
